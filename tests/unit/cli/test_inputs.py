"""What the arguments of the command stand for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from transcription.cli.inputs import Recording, find_recordings
from transcription.cli.main import main, run
from transcription.cli.screen import Screen


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.MP3", "a.wav", "notes.txt", ".hidden.mp3", "inner/c.mkv", ".trash/d.mp3", "[1].ogg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(*arguments: str) -> list[str]:
    return [str(each.path) for each in find_recordings(arguments).recordings]


def test_a_file_is_itself_whatever_its_name(folder: Path) -> None:
    assert paths("notes.txt", "missing.mp3", "-", "[1].ogg") == ["notes.txt", "missing.mp3", "-", "[1].ogg"]


def test_a_folder_is_the_recordings_in_it_and_in_its_folders(folder: Path) -> None:
    assert paths(str(folder)) == [str(folder / name) for name in ("[1].ogg", "a.wav", "b.MP3", "inner/c.mkv")]


def test_pipes_in_a_folder_are_not_its_recordings(folder: Path) -> None:
    os.mkfifo(folder / "pipe.mp3")
    assert "pipe.mp3" not in [Path(each).name for each in paths(str(folder))]
    assert paths("pipe.mp3") == ["pipe.mp3"]


def test_a_folder_that_cannot_be_read_is_told_beside_what_was_found() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, closed = Path(name), Path(name) / "closed"
        folder.chmod(0o755)
        (folder / "a.wav").touch()
        (closed / "inner").mkdir(parents=True)
        closed.chmod(0)
        with unprivileged():
            found = find_recordings([name, str(closed), str(closed / "inner")])
        assert found.recordings == [Recording(folder / "a.wav")]
        assert found.nothing == {}
        assert found.unreadable == dict.fromkeys(
            [str(closed), str(closed / "inner")], "cannot be read: Permission denied"
        )


def test_without_a_recording_that_can_be_read_nothing_is_opened(capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        closed = Path(name) / "closed"
        closed.mkdir()
        Path(name).chmod(0o755)
        closed.chmod(0)
        no_server = ["--server", "localhost:1", "--model", "base"]
        with main.make_context("transcribe", [str(closed), *no_server]) as context, unprivileged():
            files = context.params.pop("files")
            assert run(files, context.params, Screen(quiet=False, verbose=True)) == 1
    assert capsys.readouterr().err == f"{closed}: cannot be read: Permission denied\n"


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user whom permissions concern."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_pattern_is_the_files_that_match(folder: Path) -> None:
    assert paths("*.wav", "**/*.mkv", "?.MP3") == ["a.wav", "inner/c.mkv", "b.MP3"]


@pytest.mark.parametrize("argument", ["*.flac", "empty"])
def test_what_stands_for_nothing_is_told_beside_what_was_found(folder: Path, argument: str) -> None:
    (folder / "empty").mkdir()
    found = find_recordings([argument, "a.wav"])
    assert found.recordings == [Recording(Path("a.wav"))]
    assert list(found.nothing) == [argument]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/talks/my%20talk.mp3?session=1", "my talk.mp3"),
        ("HTTP://example.com/a%2Fb.mp3", "b.mp3"),
        ("https://example.com", "example.com"),
    ],
)
def test_the_results_of_a_url_are_named_after_its_file(url: str, name: str) -> None:
    assert find_recordings([url]).recordings == [Recording(Path(name), url)]
