"""Writes results next to the recording, into a folder, or to standard output."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from formats.registry import ResponseFormat
from transcription.cli.transcriber import RecordingFailed


@dataclass(frozen=True, slots=True)
class Output:
    """Where results are written.

    folder: None means the folder of the recording. to_stdout: print results instead of writing files.
    """

    folder: Path | None = None
    to_stdout: bool = False
    overwrite: bool = False

    def targets(self, recording: Path, formats: tuple[ResponseFormat, ...]) -> dict[ResponseFormat, Path]:
        """The file of each format; none for standard output.

        Raises RecordingFailed if a file exists and must not be replaced.
        """
        if self.to_stdout:
            return {}
        folder = self.folder or recording.parent
        files = {each: folder / f"{recording.stem}{each.record.ending}" for each in formats}
        existing = [str(path) for path in files.values() if path.exists()]
        if existing and not self.overwrite:
            raise RecordingFailed(f"{', '.join(existing)} exists. Use --overwrite or another --output-dir.")
        return files

    def write(self, results: Mapping[ResponseFormat, str], targets: Mapping[ResponseFormat, Path]) -> None:
        """Write the results into `targets` or print them. Raises RecordingFailed if a file cannot be written."""
        if self.to_stdout:
            sys.stdout.write("".join(results.values()))
            sys.stdout.flush()
            return
        for each, path in targets.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, results[each])
            except OSError as error:
                raise RecordingFailed(f"{path} cannot be written: {error.strerror or error}.") from None


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is never visible with a part of its content. Raises OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
