"""Scheduling priority of threads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.service import ROOT
from transcription.system.thread_priority import NICENESS

PROGRAM = """
import os, threading
from transcription.system.thread_priority import lower_priority
os.nice({niceness})
def report():
    lower_priority()
    print(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
thread = threading.Thread(target=report)
thread.start()
thread.join()
print(os.getpriority(os.PRIO_PROCESS, os.getpid()))
"""


@pytest.mark.parametrize(("niceness", "lowered"), [(0, NICENESS), (NICENESS + 5, NICENESS + 5)])
def test_a_thread_never_gets_a_higher_priority_than_its_process(niceness: int, lowered: int) -> None:
    command = [sys.executable, "-c", PROGRAM.format(niceness=niceness)]
    output = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, text=True).stdout

    base = int(output.split()[1])
    assert int(output.split()[0]) == max(base, lowered)
    assert base >= niceness
