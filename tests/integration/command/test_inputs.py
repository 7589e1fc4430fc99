"""Folders, patterns, URLs and watched folders as inputs of the command, and the text as it comes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.clips import SpokenClip
from tests.support.command import COMMAND, Run, environment
from tests.support.recordings import Recordings
from tests.support.service import LocalService
from tests.support.waiting import wait_until


def test_the_text_is_printed_as_it_comes(
    run: Run, recordings: Recordings, tmp_path: Path, anywhere: list[str], talk: Path, spoken_clip: SpokenClip
) -> None:
    """The first line is there while the recording is still being transcribed."""
    long = recordings.talk("printed.mp3", 120)
    with subprocess.Popen(
        [*COMMAND, str(long), "-d", str(tmp_path), *anywhere],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        finished = (tmp_path / "printed.txt").exists()
        rest = process.stdout.read()
    assert re.fullmatch(r"\[\d\d:\d\d\.\d{3} --> \d\d:\d\d\.\d{3}\] \S.*\n", first)
    assert not finished
    assert len(rest.splitlines()) > 3
    assert spoken_clip.text in run(talk, *anywhere).stdout
    assert run(talk, *anywhere, "--overwrite", "--verbose", "False").stdout == ""


def test_a_reader_of_the_text_that_leaves_does_not_stop_the_work(
    tmp_path: Path, talk: Path, on_the_server: list[str]
) -> None:
    for target in (">/dev/full", ">&-"):
        script = f"{' '.join([*COMMAND, *on_the_server])} --overwrite '{talk}' {target}"
        done = subprocess.run(["bash", "-c", script], env=environment(tmp_path), capture_output=True, timeout=100)
        assert (done.returncode, done.stderr.decode()) == (0, f"{talk}: {talk.with_suffix('.txt')}\n")


def test_folders_and_patterns_are_their_recordings(
    run: Run, talk: Path, tmp_path: Path, spoken_clip: SpokenClip, anywhere: list[str]
) -> None:
    assert run(talk.parent, *anywhere, "-q").returncode == 0
    assert talk.with_suffix(".txt").read_text() == f"{spoken_clip.text}\n"
    (tmp_path / "empty").mkdir()
    done = run(f"{talk.parent}/*.mp3", "empty", *anywhere, "-q", "-f", "srt")
    assert (done.returncode, done.stderr) == (1, "empty: the folder has no recordings, by the endings of their names\n")
    assert talk.with_suffix(".srt").exists()


def test_a_url_is_fetched_and_transcribed(
    run: Run, talk: Path, tmp_path: Path, spoken_clip: SpokenClip, anywhere: list[str]
) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(talk.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        done = run(f"{address}/talk.mp3", f"{address}/missing.mp3", *anywhere)
        server.shutdown()
    assert done.returncode == 1
    assert (tmp_path / "talk.txt").read_text() == f"{spoken_clip.text}\n"
    assert f"{address}/missing.mp3: the address was answered with status 404. Check it." in done.stderr


def test_a_watched_folder_is_transcribed_once(
    run: Run, talk: Path, tmp_path: Path, spoken_clip: SpokenClip, anywhere: list[str]
) -> None:
    talk.with_name("bad.mp3").write_text("no recording")
    talk.with_name("done.mp3").write_bytes(talk.read_bytes())
    talk.with_name("done.txt").write_text("corrected by hand")
    done = run("watch", talk.parent, "--once", "--settle", "0", *anywhere)
    assert done.returncode == 1
    assert "'bad.mp3' is not a supported audio or video file." in done.stderr
    assert talk.with_suffix(".txt").read_text() == f"{spoken_clip.text}\n"
    assert talk.with_name("done.txt").read_text() == "corrected by hand"


def test_what_is_put_into_a_watched_folder_is_transcribed_until_an_interrupt(
    service: LocalService, talk: Path, tmp_path: Path, spoken_clip: SpokenClip
) -> None:
    """A file that is still being written is waited for, and one that fails does not end the watch."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    sound = talk.read_bytes()
    with subprocess.Popen(
        ["env", "--default-signal=INT", *COMMAND, "watch", str(inbox), "-s", service.url, "--settle", "3"],
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        (inbox / "bad.mp3").write_text("no recording")
        with (inbox / "talk.mp3").open("wb") as file:
            for place in range(0, len(sound), len(sound) // 5 + 1):
                file.write(sound[place : place + len(sound) // 5 + 1])
                file.flush()
                time.sleep(0.3)
        assert wait_until((inbox / "talk.txt").exists, 30)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (inbox / "talk.txt").read_text() == f"{spoken_clip.text}\n"
    assert "'bad.mp3' is not a supported audio or video file." in complaints
    assert f"{inbox}/talk.mp3: {inbox}/talk.txt" in complaints


def test_what_never_ends_or_has_nothing_is_refused_with_the_reason(
    run: Run, tmp_path: Path, anywhere: list[str]
) -> None:
    (tmp_path / "empty.mp3").touch()
    done = run("/dev/zero", "/dev/urandom", "empty.mp3", "-", *anywhere, input=b"y\n" * 1_000_000)
    assert (done.returncode, done.stdout) == (1, "")
    *endless, empty, text = done.stderr.splitlines()
    assert [line.partition(". ")[0] for line in (*endless, text)] == [
        f"{name}: is not a supported audio or video file" for name in ("/dev/zero", "/dev/urandom", "-")
    ]
    assert empty.startswith("empty.mp3: The file is empty. Send a file with sound.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_stream_when_the_command_is_ended(
    tmp_path: Path, spoken_clip: SpokenClip, number: signal.Signals
) -> None:
    """Even if nothing has been written to the pipe, and even by force."""
    pipe, temporary = tmp_path / "pipe.mp3", tmp_path / "temporary"
    os.mkfifo(pipe)
    temporary.mkdir()
    with subprocess.Popen(
        ["env", "--default-signal=INT", *COMMAND, str(pipe)],
        env={**environment(tmp_path), "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"{pipe}: waiting for something that writes to this pipe\n"
        with pipe.open("wb", buffering=0) as writer:
            writer.write(spoken_clip.path.read_bytes())
            process.send_signal(number)
            process.wait(20)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
