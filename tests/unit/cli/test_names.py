"""The names of the results of several recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from formats.registry import ResponseFormat
from transcription.cli.names import SameName, different, result_files

TEXT = (ResponseFormat.TEXT,)


def names(*recordings: str, folder: str | None = "out", formats: tuple[ResponseFormat, ...] = TEXT) -> list[list[str]]:
    """The files of each recording."""
    files = result_files([Path(each) for each in recordings], Path(folder) if folder else None, formats)
    return [[str(path) for path in targets.values()] for targets in files.values()]


def test_a_result_is_named_after_its_recording() -> None:
    assert names("a/x.mp3", "b/y.tar.wav", folder=None) == [["a/x.txt"], ["b/y.tar.txt"]]


def test_recordings_of_one_name_in_their_own_folders_keep_it() -> None:
    assert names("a/x.mp3", "b/x.mp3", folder=None) == [["a/x.txt"], ["b/x.txt"]]


@pytest.mark.parametrize("folder", [None, "out"])
def test_two_endings_of_one_stem_stay_in_the_names(folder: str | None) -> None:
    place = folder or "a"
    assert names("a/x.mp3", "a/x.wav", folder=folder) == [[f"{place}/x.mp3.txt"], [f"{place}/x.wav.txt"]]


def test_one_name_in_two_folders_gets_those_of_the_folders() -> None:
    assert names("a/x.mp3", "b/x.mp3") == [["out/a-x.mp3.txt"], ["out/b-x.mp3.txt"]]


def test_as_many_folders_as_necessary_are_in_the_names() -> None:
    assert names("1/a/x.mp3", "2/a/x.mp3") == [["out/1-a-x.mp3.txt"], ["out/2-a-x.mp3.txt"]]


def test_a_longer_name_does_not_take_that_of_a_third_recording() -> None:
    every = [name for files in names("a/x.mp3", "a/x.wav", "a/x.mp3.ogg") for name in files]
    assert len(set(every)) == 3


def test_the_formats_of_two_recordings_do_not_meet_either() -> None:
    formats = (ResponseFormat.JSON, ResponseFormat.VERBOSE_JSON)
    every = [name for files in names("x.mp3", "x.verbose.mp3", formats=formats) for name in files]
    assert len(set(every)) == 4


def test_a_folder_by_two_names_is_one_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    files = names(f"{tmp_path}/a/x.mp3", f"{tmp_path}/b/x.wav", folder=None)
    assert files == [[f"{tmp_path}/a/x.mp3.txt"], [f"{tmp_path}/b/x.wav.txt"]]


def test_a_result_does_not_get_the_name_of_a_recording() -> None:
    assert names("x.txt", "y.mp3", folder=None) == [["x.txt.txt"], ["y.txt"]]


def test_names_that_differ_in_case_or_normal_form_are_different() -> None:
    assert names("a/X.mp3", "b/x.mp3") == [["out/X.txt"], ["out/x.txt"]]
    composed, decomposed = "\u00e9.mp3", "e\u0301.mp3"
    assert len({name for files in names(composed, decomposed) for name in files}) == 2


def test_a_recording_for_which_no_name_is_left_is_refused() -> None:
    with pytest.raises(SameName, match=r"No name is left for the results of /x\.txt"):
        names("/x.txt", "/x.txt.txt", folder="/")


def test_a_recording_that_is_named_twice_is_one() -> None:
    paths = [Path("x.mp3"), Path("y.mp3"), Path("./a/../x.mp3"), Path("x.mp3").absolute()]
    assert different(paths) == paths[:2]
