"""`transcribe live`: audio through standard input, faster than it is spoken."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from tests.support.clips import SpokenClip, words_missing
from tests.support.command import COMMAND, Run, environment
from tests.support.service import free_port
from transcription.core.audio import SAMPLE_RATE


@pytest.fixture
def samples(spoken_clip: SpokenClip) -> bytes:
    """The clip as raw PCM, 16 kHz mono."""
    heard = decode_audio(str(spoken_clip.path), SAMPLE_RATE)
    return (heard * np.iinfo(np.int16).max).astype("<i2").tobytes()


def test_each_utterance_is_a_line_and_the_results_are_written_at_the_end(
    run: Run, samples: bytes, spoken_clip: SpokenClip, anywhere: list[str], tmp_path: Path
) -> None:
    done = run("live", "-", *anywhere, "-l", spoken_clip.language, "-f", "srt", "-o", "texts", input=samples)
    assert done.returncode == 0, done.stderr
    assert words_missing(spoken_clip.text, done.stdout) < 0.3
    subtitles = (tmp_path / "texts" / "live.srt").read_text()
    assert " --> " in subtitles
    assert all(line in subtitles for line in done.stdout.splitlines())


def test_ctrl_c_ends_the_audio_and_the_results_are_written(
    samples: bytes, spoken_clip: SpokenClip, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [*COMMAND, "live", "-l", spoken_clip.language, "-o", "."],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(samples + bytes(2 * SAMPLE_RATE * 2) + samples)  # two seconds of silence between
        process.stdin.flush()  # and the pipe stays open: only Ctrl-C can end this
        first = process.stdout.readline().decode()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().decode()
        assert process.wait(60) == 0
    assert first.strip()
    assert (tmp_path / "live.txt").read_text().split() == (first + rest).split()


def test_a_server_that_cannot_be_reached_has_an_exit_code_of_its_own(run: Run) -> None:
    done = run("live", "-s", f"localhost:{free_port()}", input=bytes(32_000))
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr
