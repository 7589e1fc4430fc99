"""The files that the results of several recordings are written to: no two of them are the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from formats.registry import ResponseFormat

Targets = Mapping[ResponseFormat, Path]
NO_TARGETS: Targets = {}


class SameName(Exception):
    """A recording's results have no name of their own. The message is shown to the user."""


def result_files(
    recordings: Sequence[Path], folder: Path | None, formats: Sequence[ResponseFormat]
) -> dict[Path, Targets]:
    """The files of each recording, by format.

    talk.mp3 becomes talk.srt. If another recording of the same command would get this name, too, both keep their whole
    names, talk.mp3.srt and talk.wav.srt, and if necessary those of their folders, monday-talk.mp3.srt. Nor is a result
    given the name of a recording.

    recordings: different ones. folder: None for that of each recording. Raises SameName.
    """
    lengths = dict.fromkeys(recordings, 0)
    while True:
        files = {each: _files(each, length, folder, formats) for each, length in lengths.items()}
        clashing = _clashing(files)
        if not clashing:
            return files
        for recording in clashing:
            if lengths[recording] > len(recording.absolute().parts):
                names = " and ".join(str(each) for each in clashing)
                raise SameName(f"No name is left for the results of {names}. Transcribe them one by one.")
            lengths[recording] += 1


def different(recordings: Sequence[Path]) -> list[Path]:
    """The recordings without those that are named twice."""
    found: dict[Path, Path] = {}
    for each in recordings:
        found.setdefault(_place(each), each)
    return list(found.values())


def _files(recording: Path, length: int, folder: Path | None, formats: Sequence[ResponseFormat]) -> Targets:
    """length: how many parts of the path are in the name; 0 for the name without its ending."""
    parts = recording.absolute().parts[1:]
    name = "-".join(parts[-length:]) if length else recording.stem
    return {each: (folder or recording.parent) / f"{name}{each.record.ending}" for each in formats}


def _clashing(files: Mapping[Path, Targets]) -> list[Path]:
    """The recordings of which a file would also be another's, or a recording."""
    owners: dict[Path, set[Path]] = defaultdict(set)
    for recording, targets in files.items():
        for path in targets.values():
            owners[_place(path)].add(recording)
    taken = {_place(recording) for recording in files}
    return [
        recording
        for recording, targets in files.items()
        if any(len(owners[place]) > 1 or place in taken for place in map(_place, targets.values()))
    ]


def _place(path: Path) -> Path:
    """The same for every way to write the folder of a file. The file itself may be a link, which is replaced."""
    return path.parent.resolve() / path.name
