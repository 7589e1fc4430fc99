"""From transcripts to tables, and into a document."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.evaluate.bootstrap import Estimate
from benchmarks.evaluate.references import Reference, Spoken
from benchmarks.evaluate.report import NoMarkers, insert, percent, render, write_details
from benchmarks.evaluate.results import Result, Times, percentile_error
from benchmarks.evaluate.scoring import count_errors, units
from benchmarks.evaluate.systems import Heard
from benchmarks.evaluate.times import time_errors


def result(text: str, heard: str, *, language: str = "en", detected: str = "en", timed: bool = False) -> Result:
    said = (Spoken(1.0, 2.0, text),)
    segments = (Spoken(1.5, 2.0, heard),)
    reference = Reference("a.wav", Path("a.wav"), language, text, said if timed else ())
    errors = count_errors(units(text, language), units(heard, language))
    given, sound = (time_errors(spoken, segments, language) for spoken in (said, (Spoken(1.25, 2.0, text),)))
    times = Times(given, given, sound, sound) if timed else None
    return Result(reference, Heard(detected, 10.0, segments, ()), errors, 2.0, 4.0, 10.0, times)


def cells(text: str, first: str) -> list[str]:
    """The row of a table that starts with a cell."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_words_and_characters_are_not_added_up() -> None:
    text = render({"one": [result("a b", "a b"), result("苹果", "苹", language="zh", detected="zh")]})
    assert "1 files, 2 words" in text and "1 files, 2 characters" in text


def test_the_difference_to_the_first_system_is_shown() -> None:
    text = render({"one": [result("a b c d", "a b c d")], "two": [result("a b c d", "a b c")]})
    assert cells(text, "two") == ["two", "25.00 %", "+25.00 %", "0", "1", "1", "0"]


def test_cost_is_per_second_of_audio() -> None:
    text = render({"one": [result("a b", "a b", detected="fr")]}).split("### Detected language and cost")[1]
    assert cells(text, "one") == ["one", "0.00 %", "0.200", "2.5"]


def test_times_are_shown_where_a_reference_has_them() -> None:
    text = render({"one": [result("a b", "a b", timed=True), result("c", "c")]})
    assert cells(text, "segment start, one") == ["segment start, one", "0.25", "0.25", "0.50", "0.50", "1 of 1"]
    assert "### Times" not in render({"one": [result("c", "c")]})


def test_an_error_is_as_large_early_as_late() -> None:
    assert percentile_error([[-3.0, 1.0]]) == Estimate(3.0)


def test_an_interval_follows_the_figure() -> None:
    assert percent(Estimate(0.0669, 0.061, 0.0725)) == "6.69 % (6.10 to 7.25)"


def test_tables_replace_those_between_the_markers(tmp_path: Path) -> None:
    document = tmp_path / "ACCURACY.md"
    document.write_text("before\n<!-- figures -->\nold \\1\n<!-- /figures -->\nafter\n")
    insert(document, "new \\1\n")
    insert(document, "newer \\1\n")
    assert document.read_text() == "before\n<!-- figures -->\n\nnewer \\1\n\n<!-- /figures -->\nafter\n"


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text("text")
    with pytest.raises(NoMarkers, match=r"README\.md has no lines"):
        insert(document, "new")
    assert document.read_text() == "text"


def test_details_have_a_row_for_every_recording_and_system(tmp_path: Path) -> None:
    write_details({"one": [result("a b", "a c")], "two": [result("a b", "a b")]}, tmp_path / "details.tsv")
    rows = [line.split("\t") for line in (tmp_path / "details.tsv").read_text().splitlines()]
    assert [row[1] for row in rows] == ["system", "one", "two"]
    assert rows[1][-1] == "a c"
