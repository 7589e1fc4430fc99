"""Where results go: beside the recording, into a folder, or to standard output."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from formats.registry import ResponseFormat
from transcription.cli.order import Failed


@dataclass(frozen=True, slots=True)
class Output:
    """folder: None for that of the recording. to_stdout: print and write no file."""

    folder: Path | None = None
    to_stdout: bool = False
    overwrite: bool = False

    def targets(self, recording: Path, formats: tuple[ResponseFormat, ...]) -> dict[ResponseFormat, Path]:
        """The file of each format. Raises Failed when one is there already and must not be replaced."""
        if self.to_stdout:
            return {}
        folder = self.folder or recording.parent
        files = {each: folder / f"{recording.stem}{each.record.ending}" for each in formats}
        there = [str(path) for path in files.values() if path.exists()]
        if there and not self.overwrite:
            raise Failed(f"{', '.join(there)} exists. Use --overwrite, or another --output-dir.")
        return files

    def write(self, results: Mapping[ResponseFormat, str], targets: Mapping[ResponseFormat, Path]) -> None:
        """Raises Failed when a file cannot be written."""
        if self.to_stdout:
            sys.stdout.write("".join(results.values()))
            sys.stdout.flush()
            return
        for each, path in targets.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, results[each])
            except OSError as error:
                raise Failed(f"{path} cannot be written: {error.strerror or error}.") from None


def write_whole(path: Path, text: str) -> None:
    """Write a file that is never seen half-written. Raises OSError."""
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
