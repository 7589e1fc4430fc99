"""A machine of its own on the network, for processes: a network namespace behind a virtual cable, which can be cut.

What is sent to it then is lost without a word: nothing refuses a connection, and nothing ends one. Machines reach each
other through this one, where the way between two of them can be cut likewise.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

NETWORK = "10.213.{number}.{host}"  # four addresses for each machine
# What made it, and its number: of 15 characters at most, with what is added. The start tells a process from a later one
# with the same number.
NAME = re.compile(r"m(?P<pid>[0-9a-z]+)-(?P<start>[0-9a-z]+)-(?P<number>\d)")
STARTS = 36**4
TRIED = 7  # number of the machine that only shows that they can be made


@dataclass(frozen=True, slots=True)
class Machine:
    """address: from outside. gateway: the address of this machine here, from inside."""

    name: str
    address: str
    gateway: str

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
        self.connect_with_others()

    def connect_with_others(self) -> None:
        """The kernel forgets this route when the cable is pulled."""
        _ip("-netns", self.name, "route", "replace", "default", "via", self.gateway)

    def cut_from(self, other: Machine) -> None:
        """Lose what the two send to each other; this machine here reaches both."""
        for source, target in ((self, other), (other, self)):
            _ip("rule", "add", "blackhole", "from", source.address, "to", target.address)

    def mend_with(self, other: Machine) -> None:
        """Undo `cut_from`."""
        for source, target in ((self, other), (other, self)):
            _ip("rule", "del", "blackhole", "from", source.address, "to", target.address)


@cache
def missing() -> str:
    """What is missing for machines of their own; "" for nothing."""
    if os.getuid() or not shutil.which("ip"):
        return "root and the command ip are needed to make network namespaces: make tools installs it"
    machine = _machine(TRIED)
    try:
        _connect(machine)
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
    _remove_abandoned()
    made = [_machine(number) for number in range(count)]
    try:
        for machine in made:
            _connect(machine)
        yield made
    finally:
        for machine in made:
            _remove(machine)


def existing() -> list[str]:
    """Names of the machines of all processes."""
    names = [line.split()[0] for line in _ip("netns", "list").splitlines() if line]
    return [name for name in names if NAME.fullmatch(name)]


def _remove_abandoned() -> None:
    """Remove the machines of processes that were killed."""
    for name in existing():
        parts = NAME.fullmatch(name)
        if parts and _start_of(pid := int(parts["pid"], 36)) != parts["start"]:
            _remove(_named(name, pid, int(parts["number"])))


def _machine(number: int) -> Machine:
    pid = os.getpid()
    return _named(f"m{_short(pid)}-{_start_of(pid)}-{number}", pid, number)


def _named(name: str, pid: int, number: int) -> Machine:
    return Machine(name, _address(pid, number, 2), _address(pid, number, 1))


def _start_of(pid: int) -> str:
    """When the process started; "" if there is none."""
    try:
        after_its_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return _short(int(after_its_name.split()[19]) % STARTS)


def _short(number: int) -> str:
    return np.base_repr(number, 36).lower()


def _address(pid: int, number: int, host: int) -> str:
    place = pid * 8 + number
    return NETWORK.format(number=place // 64 % 256, host=place % 64 * 4 + host)


def _connect(machine: Machine) -> None:
    inside, outside = _inside(machine.name), _outside(machine.name)
    _ip("netns", "add", machine.name)
    _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", machine.name)
    _ip("addr", "add", f"{machine.gateway}/30", "dev", outside)
    _ip("link", "set", outside, "up")
    for link in ("lo", inside):
        _ip("-netns", machine.name, "link", "set", link, "up")
    _ip("-netns", machine.name, "addr", "add", f"{machine.address}/30", "dev", inside)
    Path(f"/proc/sys/net/ipv4/conf/{outside}/forwarding").write_text("1")
    machine.connect_with_others()
    # Known for good, or a packet to a machine that is cut off would be answered with an error after a while.
    shown = _ip("-netns", machine.name, "-json", "link", "show", inside)
    hardware = json.loads(shown)[0]["address"]
    _ip("neigh", "replace", machine.address, "lladdr", hardware, "dev", outside, "nud", "permanent")


def _remove(machine: Machine) -> None:
    subprocess.run(["ip", "link", "del", _outside(machine.name)], capture_output=True)
    subprocess.run(["ip", "netns", "del", machine.name], capture_output=True)
    for direction in ("from", "to"):  # cuts
        while not subprocess.run(
            ["ip", "rule", "del", "blackhole", direction, machine.address], capture_output=True
        ).returncode:
            pass


def _inside(name: str) -> str:
    return f"i{name}"


def _outside(name: str) -> str:
    return f"o{name}"


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
