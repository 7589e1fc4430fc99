"""Memory use and limit of the container: of its control group, or of the machine where there is none.

The files are those of the Linux kernel's cgroup v2 and v1, and of proc(5). Reading them never waits for a disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

UNLIMITED = 1 << 60  # v1 writes "no limit" as about 2^63, rounded down to a page


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. used: without what the kernel can reclaim at once. limit: never 0."""

    used: int
    limit: int

    @property
    def ratio(self) -> float:
        return self.used / self.limit


@dataclass(frozen=True, slots=True)
class _Files:
    """Names of the files of a group, which differ between the versions."""

    limit: str
    usage: str
    reclaimable: str  # a key of memory.stat


V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = _Files("memory.max", "memory.current", "inactive_file")


def read_memory(root: Path = Path("/")) -> Memory | None:
    """The fullest of this process's groups that have a limit, otherwise the machine; None where there is no /proc.

    root: of the file system.
    """
    groups = [memory for folder, files in _groups(root) if (memory := _of_group(folder, files))]
    machine = _of_machine(root)
    limited = [memory for memory in groups if machine is None or memory.limit <= machine.limit]
    return max(limited, key=lambda memory: memory.ratio, default=machine)


def _groups(root: Path) -> Iterator[tuple[Path, _Files]]:
    """This process's groups and their parents, as far as they are visible from here."""
    mounts = list(_mounts(root))
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        files = V2 if not controllers else V1
        if files is V1 and "memory" not in controllers.split(","):
            continue
        for kind, source, folder, options in mounts:
            is_ours = kind == "cgroup2" if files is V2 else kind == "cgroup" and "memory" in options
            if is_ours:
                yield from ((each, files) for each in _chain(root / folder.lstrip("/"), path, source))


def _chain(mount: Path, path: str, source: str) -> Iterator[Path]:
    """The folder of a group and those above it. source: what part of the hierarchy is mounted."""
    group = PurePosixPath(path)
    # A container often sees its own group as the whole hierarchy, under the path it has on the host.
    below = group.relative_to(source) if group.is_relative_to(source) else PurePosixPath()
    yield from (mount / part for part in (below, *below.parents))


def _mounts(root: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """Kind, root within the file system, mount point and options of each mount; proc(5), mountinfo."""
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, described = before.split(), after.split()
        # The name of the device is between them, and it may be empty.
        yield described[0], fields[3], fields[4], described[-1].split(",")


def _of_group(folder: Path, files: _Files) -> Memory | None:
    limit, used = _number(folder / files.limit), _number(folder / files.usage)
    if limit is None or used is None or not 0 < limit < UNLIMITED:
        return None
    statistics = dict(line.split(maxsplit=1) for line in _lines(folder / "memory.stat"))
    return Memory(max(0, used - int(statistics.get(files.reclaimable, 0))), limit)


def _of_machine(root: Path) -> Memory | None:
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in _lines(root / "proc/meminfo")}
    if "MemAvailable" not in sizes or not sizes["MemTotal"]:
        return None
    return Memory(sizes["MemTotal"] - sizes["MemAvailable"], sizes["MemTotal"])


def _number(path: Path) -> int | None:
    """None for a file that is not there, and for "max"."""
    text = "".join(_lines(path))
    return int(text) if text.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
