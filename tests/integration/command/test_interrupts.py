"""The command `transcribe` is interrupted while its own model decodes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Run, environment

# The command with a model that takes an hour for a window.
IN_A_WINDOW = """
import signal, sys, threading, time
from runners.batching import device
from runners.decode.engine import Engine
from transcription.cli.__main__ import start

number_here = int(sys.argv.pop())

def decode(*_):
    print("decoding", flush=True)
    if number_here:
        time.sleep(0.5)  # the loop sleeps
        signal.pthread_kill(threading.get_ident(), number_here)
    time.sleep(3600)

Engine.decode, device.STOP_SECONDS = decode, 3600
start()
"""
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def interrupted(talk: Path, tmp_path: Path, number: signal.Signals, *, here: bool = False) -> int:
    """The exit code of the command after a signal while it decodes. here: the thread that decodes receives it."""
    process = subprocess.Popen(
        ["env", "--default-signal", sys.executable, "-c", IN_A_WINDOW, str(talk), str(number.value if here else 0)],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "decoding\n"
        if not here:
            process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert not list(tmp_path.glob("*.txt"))
    return process.returncode


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_does_not_wait_for_the_model(talk: Path, tmp_path: Path, number: signal.Signals) -> None:
    assert interrupted(talk, tmp_path, number) == 128 + number


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_ends_the_command_whichever_thread_receives_it(
    talk: Path, tmp_path: Path, number: signal.Signals
) -> None:
    assert interrupted(talk, tmp_path, number, here=True) == 128 + number


def test_a_recording_whose_decoding_was_interrupted_is_not_taken_for_one_that_crashes(
    talk: Path, tmp_path: Path, run: Run
) -> None:
    for _ in range(2):
        interrupted(talk, tmp_path, signal.SIGINT)
    assert run(talk).returncode == 0
