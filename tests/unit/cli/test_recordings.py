"""Where the command reads recordings from."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from transcription.cli.recordings import as_text, is_nameless, name_of, open_recording
from transcription.cli.transcriber import RecordingFailed


@pytest.mark.parametrize("path", ["-", "/dev/stdin", "/dev/fd/0", "/dev/fd/63", "/proc/self/fd/0", "/proc/7/fd/9"])
def test_a_descriptor_has_no_name(path: str) -> None:
    assert is_nameless(Path(path))
    assert name_of(Path(path)) == "recording"


@pytest.mark.parametrize("path", ["talk.mp3", "-.mp3", "/dev/shm/talk.mp3", "a/dev/stdin", "/dev/fd/talk.mp3"])
def test_a_file_has_its_name(path: str) -> None:
    assert not is_nameless(Path(path))
    assert name_of(Path(path)) == Path(path).name


def test_a_file_is_read_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "talk.mp3").write_bytes(b"sound")
    with open_recording(tmp_path / "talk.mp3") as path:
        assert path == tmp_path / "talk.mp3"


def test_a_named_pipe_is_copied(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp3"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"sound" * 100_000,))
    writer.start()
    with open_recording(pipe) as path:
        assert path.read_bytes() == path.read_bytes() == b"sound" * 100_000
    writer.join()
    assert not path.exists()


def test_a_descriptor_is_copied_from_where_it_stands(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"sound")
    os.close(writing)
    with open_recording(Path(f"/dev/fd/{reading}")) as path:
        assert path.read_bytes() == b"sound"
    os.close(reading)


@pytest.mark.parametrize(("path", "reason"), [("nowhere.mp3", "No such file"), (".", "Is a directory")])
def test_what_cannot_be_read_fails_with_the_reason(tmp_path: Path, path: str, reason: str) -> None:
    with pytest.raises(RecordingFailed, match=f"cannot be read: {reason}"), open_recording(tmp_path / path):
        pass


def test_bytes_that_the_locale_cannot_decode_become_text() -> None:
    assert as_text(os.fsdecode("\u00fc".encode())) == "\u00fc"
    assert as_text("\udcc3\udcbc") == "\u00fc"  # the bytes of the same letter in a locale of ASCII
    assert as_text("\udcff.mp3") == "\ufffd.mp3"
