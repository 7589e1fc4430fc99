"""What was said in the recordings of a folder: its `references.tsv`, and exact times where there are any."""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = "references.tsv"
REQUIRED = ("file", "language", "text")
AUDIO = frozenset({".flac", ".wav", ".mp3", ".ogg", ".m4a", ".mp4", ".webm", ".mkv"})


class InvalidReferences(Exception):
    """The folder cannot be evaluated. The message says where and why."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Text with its times, seconds from the start of the file."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A recording and what is said in it.

    name: the path relative to the folder. language: an ISO 639-1 code. text: "" if nothing is said.
    times: the exact times of the utterances, in order; empty if unknown.
    """

    name: str
    path: Path
    language: str
    text: str
    times: tuple[Spoken, ...] = ()


def read_references(folder: Path, timed_language: str = "en") -> list[Reference]:
    """The rows of the table in their order, then recordings that only have a file of times.

    Times are in a JSON file with the name of the recording, `talk.json` for `talk.flac`: a list of objects with
    `start`, `end` and `text`. timed_language: the language of recordings that have such a file and no row.
    Raises InvalidReferences.
    """
    rows = list(_rows(folder))
    listed = {reference.path for reference in rows}
    timed = [_timed(folder, path, timed_language) for path in sorted(_with_times(folder)) if path not in listed]
    return rows + timed


def take(references: Sequence[Reference], limit: int | None) -> list[Reference]:
    """At most `limit` recordings of each language, those with times first; all if it is None. Keeps the order."""
    if limit is None:
        return list(references)
    seen: Counter[str] = Counter()
    chosen = set()
    for reference in sorted(references, key=lambda each: not each.times):
        seen[reference.language] += 1
        if seen[reference.language] <= limit:
            chosen.add(reference.name)
    return [reference for reference in references if reference.name in chosen]


def _rows(folder: Path) -> Iterator[Reference]:
    table = folder / TABLE
    try:
        # newline="" and QUOTE_NONE: a quotation mark is part of the text.
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if missing := [name for name in REQUIRED if name not in (reader.fieldnames or ())]:
                raise InvalidReferences(f"{table} has no column {', '.join(missing)}. It needs {', '.join(REQUIRED)}.")
            names: set[str] = set()
            for row in reader:
                reference = _reference(folder, row, f"{table}, line {reader.line_num}")
                if reference.name in names:
                    raise InvalidReferences(f"{table}, line {reader.line_num}: {reference.name} is listed twice.")
                names.add(reference.name)
                yield reference
    except UnicodeDecodeError as error:
        raise InvalidReferences(f"{table} is not UTF-8: {error}") from None
    except OSError as error:
        raise InvalidReferences(f"{table} cannot be read: {error.strerror}.") from None


def _reference(folder: Path, row: Mapping[str, str | None], place: str) -> Reference:
    values = {name: row[name] for name in REQUIRED}
    if short := [name for name, value in values.items() if value is None]:
        raise InvalidReferences(f"{place}: no {', '.join(short)}. Columns are separated by tabs.")
    name, language, text = (str(value).strip() for value in values.values())
    if not name or not language:
        raise InvalidReferences(f"{place}: the {'language' if name else 'file'} is empty.")
    path = folder / name
    if not path.is_file():
        raise InvalidReferences(f"{place}: {path} does not exist.")
    times = path.with_suffix(".json")
    return Reference(name, path, language.lower(), text, _read_times(times) if times.is_file() else ())


def _with_times(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix.lower() in AUDIO and path.with_suffix(".json").is_file():
            yield path


def _timed(folder: Path, path: Path, language: str) -> Reference:
    times = _read_times(path.with_suffix(".json"))
    text = " ".join(each.text for each in times)
    return Reference(path.relative_to(folder).as_posix(), path, language, text, times)


def _read_times(path: Path) -> tuple[Spoken, ...]:
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidReferences(f"{path} is not JSON: {error}") from None
    if not isinstance(items, list):
        raise InvalidReferences(f"{path}: a list of objects with start, end and text is needed.")
    times = tuple(_spoken(item, f"{path}, item {number}") for number, item in enumerate(items))
    for before, after in itertools.pairwise(times):
        if after.start < before.start:
            raise InvalidReferences(f"{path}: {after.start} s comes after {before.start} s.")
    return times


def _spoken(item: Any, place: str) -> Spoken:
    try:
        spoken = Spoken(float(item["start"]), float(item["end"]), str(item["text"]))
    except (TypeError, KeyError, ValueError):
        raise InvalidReferences(f"{place}: start, end (seconds) and text are needed.") from None
    if not 0 <= spoken.start <= spoken.end:
        raise InvalidReferences(f"{place}: {spoken.start} to {spoken.end} s is no span of time.")
    return spoken
