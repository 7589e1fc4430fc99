"""Files of results are complete, and no file of another program is replaced."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from formats.registry import ResponseFormat
from transcription.cli.output import Output
from transcription.cli.transcriber import RecordingFailed

RESULT = {ResponseFormat.TEXT: "text \u4e16\n"}


def target(path: Path) -> dict[ResponseFormat, Path]:
    return {ResponseFormat.TEXT: path}


def test_a_file_is_utf_8(tmp_path: Path) -> None:
    Output().write(RESULT, target(tmp_path / "new" / "x.txt"))
    assert (tmp_path / "new" / "x.txt").read_bytes() == "text \u4e16\n".encode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.txt"]


def test_a_file_that_appeared_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    output = Output()
    output.check(target(path))
    path.write_text("another program's")
    with pytest.raises(RecordingFailed, match="created by another program"):
        output.write(RESULT, target(path))
    assert path.read_text() == "another program's"
    assert list(tmp_path.iterdir()) == [path]


def test_overwrite_replaces_a_file_of_an_earlier_run(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(RecordingFailed, match="--overwrite"):
        Output().check(target(path))
    output = Output(overwrite=True)
    output.check(target(path))
    output.write(RESULT, target(path))
    assert path.read_text(encoding="utf-8") == "text \u4e16\n"


def test_overwrite_does_not_replace_a_file_of_this_run(tmp_path: Path) -> None:
    upper, lower = tmp_path / "X.txt", tmp_path / "x.txt"
    output = Output(overwrite=True)
    output.write(RESULT, target(upper))
    lower.hardlink_to(upper)  # one file by two names, as where the file system ignores case
    with pytest.raises(RecordingFailed, match=r"x\.txt is the same file as .*X\.txt, just written"):
        output.check(target(lower))


def test_a_dangling_link_is_an_existing_file(tmp_path: Path) -> None:
    (tmp_path / "x.txt").symlink_to("nowhere")
    with pytest.raises(RecordingFailed, match="exists"):
        Output().check(target(tmp_path / "x.txt"))


def test_a_file_system_without_links_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    Output().write(RESULT, target(tmp_path / "x.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]
