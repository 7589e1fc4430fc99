"""Where the command reads recordings from."""

from __future__ import annotations

import os
import pty
import signal
import tempfile
import threading
from pathlib import Path
from types import FrameType

import pytest

from tests.support.service import ROOT
from transcription.cli import recordings
from transcription.cli.recordings import as_text, is_nameless, name_of, open_recording
from transcription.cli.transcriber import RecordingFailed

SOUND = (ROOT / "samples" / "fr-reunion.wav").read_bytes()


def no_limit() -> int:
    return 1 << 40


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
    with open_recording(tmp_path / "talk.mp3", no_limit) as path:
        assert path == tmp_path / "talk.mp3"


def test_a_named_pipe_is_copied(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp3"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(SOUND * 30,))
    writer.start()
    with open_recording(pipe, no_limit) as path:
        assert path.read_bytes() == path.read_bytes() == SOUND * 30
    writer.join()
    assert not path.exists()


def test_a_copy_has_no_name_that_a_killed_command_would_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    reading, writing = os.pipe()
    os.write(writing, b"sound")
    os.close(writing)
    with open_recording(Path(f"/dev/fd/{reading}"), no_limit):
        assert list(tmp_path.iterdir()) == []
    os.close(reading)


@pytest.mark.parametrize("endless", ["/dev/zero", "/dev/urandom"])
def test_what_is_no_recording_is_refused_before_it_is_copied(endless: str) -> None:
    refused = pytest.raises(RecordingFailed, match="is not a supported audio or video file")
    with refused, open_recording(Path(endless), no_limit):
        pass


def test_a_stream_is_copied_up_to_a_limit(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb") as target:
            try:
                while True:
                    target.write(SOUND)
            except BrokenPipeError:
                pass

    writer = threading.Thread(target=write)
    writer.start()
    refused = pytest.raises(RecordingFailed, match=r"has more than 3000000 bytes.*MAX_FILE_SIZE")
    with refused, open_recording(pipe, lambda: 3_000_000):
        pass
    writer.join()


def test_a_pipe_that_nothing_writes_to_is_waited_for_and_the_user_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "PATIENCE_SECONDS", 0.01)
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    told: list[str] = []
    writer = threading.Thread(target=pipe.write_bytes, args=(SOUND,))

    def tell(message: str) -> None:
        told.append(message)
        writer.start()

    with open_recording(pipe, no_limit, tell) as path:
        assert path.read_bytes() == SOUND
    writer.join()
    assert told == ["waiting for something that writes to this pipe"]


def test_a_signal_ends_the_wait_for_a_pipe_that_stays_open_whichever_thread_receives_it(tmp_path: Path) -> None:
    class Ended(Exception):
        pass

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended

    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    holder = os.open(pipe, os.O_RDWR)
    os.write(holder, SOUND[:60_000])  # as much as a pipe holds
    before = signal.signal(signal.SIGUSR1, end)
    waiting = threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1))
    waiting.start()
    with pytest.raises(Ended), open_recording(pipe, no_limit):
        pass
    waiting.join()
    signal.signal(signal.SIGUSR1, before)
    os.close(holder)


def test_a_terminal_is_no_recording() -> None:
    controller, terminal = pty.openpty()
    with pytest.raises(RecordingFailed, match="is a terminal"), open_recording(Path(f"/dev/fd/{terminal}"), no_limit):
        pass
    os.close(controller)
    os.close(terminal)


def test_a_descriptor_is_copied_from_where_it_stands(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"sound")
    os.close(writing)
    with open_recording(Path(f"/dev/fd/{reading}"), no_limit) as path:
        assert path.read_bytes() == b"sound"
    os.close(reading)


@pytest.mark.parametrize(("path", "reason"), [("nowhere.mp3", "No such file"), (".", "Is a directory")])
def test_what_cannot_be_read_fails_with_the_reason(tmp_path: Path, path: str, reason: str) -> None:
    refused = pytest.raises(RecordingFailed, match=f"cannot be read: {reason}")
    with refused, open_recording(tmp_path / path, no_limit):
        pass


def test_bytes_that_the_locale_cannot_decode_become_text() -> None:
    assert as_text(os.fsdecode("\u00fc".encode())) == "\u00fc"
    assert as_text("\udcc3\udcbc") == "\u00fc"  # the bytes of the same letter in a locale of ASCII
    assert as_text("\udcff.mp3") == "\ufffd.mp3"
