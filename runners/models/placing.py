"""A model's folder appears under its name only when it is complete."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transcription.core.errors import ModelUnavailable


@contextmanager
def placed(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which becomes `folder` when the block ends; an error or an interrupt leaves nothing.

    If `folder` exists by then, the files that it lacks are added to it.
    Raises ModelUnavailable if there can be no such folder, OSError if it cannot be put in place.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise ModelUnavailable(
            f"Cannot write to WHISPER_MODEL_DIR: {error.strerror}. Make it writable or choose another folder."
        ) from error
    try:
        yield partial
        partial.chmod(0o755)
        _put_in_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(partial: Path, folder: Path) -> None:
    if not folder.exists():
        partial.rename(folder)
        return
    # Files of another tool, or of a process that was faster: add what is missing, and last the
    # two files that make the folder count as a model.
    for file in sorted(partial.iterdir(), key=lambda file: file.name in {"config.json", "model.bin"}):
        if not (folder / file.name).exists():
            file.rename(folder / file.name)
