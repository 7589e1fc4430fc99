"""The table of references and the files of times, and what is said about errors in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evaluate.references import InvalidReferences, Reference, Spoken, read_references, take


def folder_with(folder: Path, table: str, *files: str) -> Path:
    for name in files:
        (folder / name).touch()
    (folder / "references.tsv").write_text(table, encoding="utf-8")
    return folder


def write_times(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def test_a_row_is_a_recording_with_its_language_and_text(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 'file\tlanguage\ttext\tlicence\na.wav\tDE\tdas "Haus\tCC0\n', "a.wav")
    assert read_references(folder) == [Reference("a.wav", folder / "a.wav", "de", 'das "Haus')]


def test_text_may_be_empty_where_nothing_is_said(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "file\tlanguage\ttext\na.wav\ten\t\n", "a.wav")
    assert read_references(folder)[0].text == ""


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file\tlanguage\na.wav\ten\n", "no column text"),
        ("", "no column file, language, text"),
        ("file\tlanguage\ttext\nb.wav\ten\thello\n", "line 2: .*b.wav does not exist"),
        ("file\tlanguage\ttext\na.wav en hello\n", "line 2: no language, text. Columns are separated by tabs"),
        ("file\tlanguage\ttext\na.wav\t\thello\n", "line 2: the language is empty"),
        ("file\tlanguage\ttext\n\ten\thello\n", "line 2: the file is empty"),
        ("file\tlanguage\ttext\na.wav\ten\tx\na.wav\ten\tx\n", "line 3: a.wav is listed twice"),
    ],
)
def test_an_error_in_the_table_is_named_with_its_place(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(InvalidReferences, match=message):
        read_references(folder_with(tmp_path, table, "a.wav"))


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidReferences, match=r"references\.tsv cannot be read: No such file"):
        read_references(tmp_path)


def test_a_recording_with_times_needs_no_row(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "file\tlanguage\ttext\na.wav\tfr\toui\n", "a.wav", "long.flac")
    write_times(folder, "long.json", [{"start": 0, "end": 1, "text": "one"}, {"start": 2, "end": 3, "text": "two"}])
    times = (Spoken(0, 1, "one"), Spoken(2, 3, "two"))
    assert read_references(folder)[1] == Reference("long.flac", folder / "long.flac", "en", "one two", times)


def test_a_recording_with_a_row_has_its_times_too(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "file\tlanguage\ttext\na.wav\tfr\toui\n", "a.wav")
    write_times(folder, "a.json", [{"start": 0.5, "end": 1, "text": "oui"}])
    assert [each.times for each in read_references(folder)] == [(Spoken(0.5, 1, "oui"),)]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({}, "a list of objects"),
        ([{"start": 0, "text": "one"}], "item 0: start, end"),
        ([{"start": 2, "end": 1, "text": "one"}], "no span of time"),
        ([{"start": 2, "end": 3, "text": "one"}, {"start": 1, "end": 4, "text": "two"}], "comes after"),
    ],
)
def test_an_error_in_the_times_is_named(tmp_path: Path, times: Any, message: str) -> None:
    folder = folder_with(tmp_path, "file\tlanguage\ttext\na.wav\tfr\toui\n", "a.wav")
    write_times(folder, "a.json", times)
    with pytest.raises(InvalidReferences, match=message):
        read_references(folder)


def references(*languages: str) -> list[Reference]:
    return [Reference(str(number), Path(), language, "") for number, language in enumerate(languages)]


def test_a_limit_is_of_each_language_and_keeps_the_order() -> None:
    assert [each.name for each in take(references("en", "en", "de", "en"), 1)] == ["0", "2"]


def test_a_limit_keeps_recordings_with_times() -> None:
    timed = Reference("timed", Path(), "en", "", (Spoken(0, 1, "one"),))
    assert take([*references("en"), timed], 1) == [timed]


def test_without_a_limit_every_recording_is_taken() -> None:
    assert take(references("en", "en"), None) == references("en", "en")
