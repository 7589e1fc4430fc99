"""Download Whisper models from the model hub, for this machine or for one without access to it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a file: the packages are in the parent folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runners.models.catalogue import (
    CATALOGUE,
    EMBEDDED_MODEL,
    canonical,
    check_known,
    download,
    folder_of,
    is_complete,
)
from transcription.core.errors import TranscriptionError
from transcription.core.settings import Settings, load_settings

EXIT_CODES = "Exit codes: 0 every model is present, 1 a model could not be downloaded, 2 wrong usage."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    settings = load_settings()
    if options.output:
        settings = settings.model_copy(update={"whisper_model_dir": options.output.expanduser().resolve()})
    failures = 0
    for name in dict.fromkeys(options.model or [settings.whisper_model]):
        try:
            _ensure(name, settings, if_missing=options.if_missing)
        except TranscriptionError as error:
            failures += 1
            print(f"error: {error.message}", file=sys.stderr)
            if error.detail:
                print(f"       {error.detail}", file=sys.stderr)
    return 1 if failures else 0


def _ensure(name: str, settings: Settings, *, if_missing: bool) -> None:
    check_known(name, settings)
    folder = folder_of(name, settings)
    if name == EMBEDDED_MODEL:
        if not if_missing:
            print(f"{name}: part of the repository, nothing to download")
        return
    if is_complete(folder):
        if not if_missing:
            print(f"{name}: already in {folder}")
        return
    print(f"{name}: downloading into {folder} ...", flush=True)
    print(f"{name}: {download(canonical(name), settings.whisper_model_dir)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.download_models", description=__doc__, epilog=EXIT_CODES)
    names = ", ".join(name for name in CATALOGUE if name != EMBEDDED_MODEL)
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help=f"may be given several times; WHISPER_MODEL by default; one of: {names}",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the models instead of WHISPER_MODEL_DIR")
    parser.add_argument("--if-missing", action="store_true", help="print nothing about models that are already present")
    return parser


if __name__ == "__main__":
    sys.exit(main())
