"""A process of the same supervisor that was stopped is killed, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.support.waiting import wait_until
from transcription.system.supervision import StoppedSiblings

MARK = b"a-process-of-the-supervisor"
LOOKS = 3


@pytest.fixture
def sibling() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the supervisor, which is this process here."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()", MARK], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def stop(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    assert wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


def test_a_process_that_was_stopped_at_several_looks_is_killed(sibling: subprocess.Popen[bytes]) -> None:
    siblings = StoppedSiblings(os.getpid(), MARK)
    stop(sibling)
    for _ in range(LOOKS - 1):
        siblings.kill_after(LOOKS)
    assert sibling.poll() is None
    siblings.kill_after(LOOKS)
    assert sibling.wait(30) == -signal.SIGKILL


def test_a_process_that_goes_on_in_between_is_not_killed(sibling: subprocess.Popen[bytes]) -> None:
    siblings = StoppedSiblings(os.getpid(), MARK)
    for _ in range(LOOKS):
        stop(sibling)
        siblings.kill_after(LOOKS)
        os.kill(sibling.pid, signal.SIGCONT)
        assert wait_until(lambda: psutil.Process(sibling.pid).status() != psutil.STATUS_STOPPED)
        siblings.kill_after(LOOKS)
    assert sibling.poll() is None


def test_another_process_that_was_stopped_is_left_alone(sibling: subprocess.Popen[bytes]) -> None:
    siblings = StoppedSiblings(os.getpid(), b"something-else")
    stop(sibling)
    for _ in range(2 * LOOKS):
        siblings.kill_after(LOOKS)
    assert sibling.poll() is None
