"""Start the service with the embedded model, transcribe the recordings in samples/ and stop it.

Run it with `make demo`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.support.service import ROOT, DidNotStart, local_service

SAMPLES = ROOT / "samples"
AUDIO = {".mp3", ".wav", ".flac", ".ogg", ".m4a"}
TIMEOUT = 120.0  # seconds per sample, generous for a busy machine


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


def main() -> int:
    """Run the demonstration; returns the exit code."""
    samples = sorted(path for path in SAMPLES.iterdir() if path.suffix in AUDIO)
    with tempfile.TemporaryDirectory(prefix="transcription-demo-") as folder:
        environment = {"WHISPER_MODEL": "demo", "TEMP_DIR": f"{folder}/uploads"}
        print("Starting the service with the embedded model ...", flush=True)
        started = time.monotonic()
        try:
            with local_service(environment, Path(folder) / "service.log") as service:
                print(f"Ready on {service.url} after {time.monotonic() - started:.1f} s.")
                longest = max(samples, key=lambda sample: show(service.url, sample))
                print(f"\n{longest.name} as SRT:\n\n{transcribe(service.url, longest, 'srt').text}")
        except DidNotStart as error:
            print(error, file=sys.stderr)
            return 1
    print("Stopped. `make serve` runs the service with a released Whisper model.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
