"""Machines that a killed process has left are removed by the next one that makes some, and no others; so are cuts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.network import existing, machines
from tests.support.service import ROOT

MAKES_ONE = """
from tests.support.network import machines
with machines(1) as (machine,):
    print(machine.name, flush=True)
    input()
"""


@contextmanager
def another_process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """One that has a machine, and the name of the machine."""
    command = [sys.executable, "-c", MAKES_ONE]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.communicate("\n")


def test_machines_of_a_killed_process_are_removed_and_those_of_others_stay() -> None:
    with machines(1) as (ours,), another_process() as (_, theirs), another_process() as (killed, left):
        killed.kill()
        killed.wait()
        assert {ours.name, theirs, left} <= set(existing())
        with another_process() as (_, later):
            there = existing()
            assert left not in there
            assert {ours.name, theirs, later} <= set(there)
    assert not {ours.name, theirs, later} & set(existing())


def test_a_cut_between_two_machines_ends_with_them() -> None:
    with machines(2) as (one, other):
        one.cut_from(other)
        assert one.address in rules() and other.address in rules()
    assert one.address not in rules() and other.address not in rules()


def rules() -> str:
    return subprocess.run(["ip", "rule"], check=True, capture_output=True, text=True).stdout
