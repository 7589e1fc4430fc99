"""A machine of its own on the network, for processes: a network namespace behind a virtual cable, which can be cut.

What is sent to it then is lost without a word: nothing refuses a connection, and nothing ends one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import pytest

NETWORK = "10.213.{number}.{host}"  # four addresses for each machine


@dataclass(frozen=True, slots=True)
class Machine:
    """address: from outside."""

    name: str
    address: str

    @property
    def prefix(self) -> list[str]:
        """Of the command of a process on this machine."""
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        """Pull the cable."""
        _ip("-netns", self.name, "link", "set", _inside(self.name), "down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip("-netns", self.name, "link", "set", _inside(self.name), "up")


@cache
def missing() -> str:
    """What is missing for machines of their own; "" for nothing."""
    if os.getuid() or not shutil.which("ip"):
        return "root and the command ip are needed to make network namespaces: make tools installs it"
    machine = Machine(f"t{os.getpid()}", _address(0, 2))
    try:
        _connect(machine, _address(0, 1))
    except subprocess.CalledProcessError as error:
        return f"network namespaces cannot be made: {error.stderr.strip()}"
    finally:
        _remove(machine)
    return ""


@contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """So many of them. The test is skipped where they cannot be made."""
    if reason := missing():
        pytest.skip(reason)
    # Other processes make machines, too. A name has at most 15 characters with what is added to it.
    made = [Machine(f"m{os.getpid()}-{number}", _address(number, 2)) for number in range(count)]
    try:
        for number, machine in enumerate(made):
            _connect(machine, _address(number, 1))
        yield made
    finally:
        for machine in made:
            _remove(machine)


def _address(number: int, host: int) -> str:
    place = os.getpid() * 8 + number
    return NETWORK.format(number=place // 64 % 256, host=place % 64 * 4 + host)


def _connect(machine: Machine, ours: str) -> None:
    inside, outside = _inside(machine.name), _outside(machine.name)
    _remove(machine)  # of a process with the same number that was killed
    _ip("netns", "add", machine.name)
    _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", machine.name)
    _ip("addr", "add", f"{ours}/30", "dev", outside)
    _ip("link", "set", outside, "up")
    for link in ("lo", inside):
        _ip("-netns", machine.name, "link", "set", link, "up")
    _ip("-netns", machine.name, "addr", "add", f"{machine.address}/30", "dev", inside)
    # Known for good, or a packet to a machine that is cut off would be answered with an error after a while.
    shown = _ip("-netns", machine.name, "-json", "link", "show", inside)
    hardware = json.loads(shown)[0]["address"]
    _ip("neigh", "replace", machine.address, "lladdr", hardware, "dev", outside, "nud", "permanent")


def _remove(machine: Machine) -> None:
    subprocess.run(["ip", "link", "del", _outside(machine.name)], capture_output=True)
    subprocess.run(["ip", "netns", "del", machine.name], capture_output=True)


def _inside(name: str) -> str:
    return f"i{name}"


def _outside(name: str) -> str:
    return f"o{name}"


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
