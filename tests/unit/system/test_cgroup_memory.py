"""Memory of a container, from the files of the kernel."""

from pathlib import Path

import pytest

from transcription.system.cgroup_memory import Memory, read_memory

MIB = 1 << 20
MEMINFO = "MemTotal: 8388608 kB\nMemFree: 100 kB\nMemAvailable: 6291456 kB\n"  # 8 GiB, 2 of them used
V2_MOUNT = "30 23 0:26 {source} /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
V1_MOUNT = "31 23 0:27 {source} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"


@pytest.fixture
def machine(tmp_path):
    """Writes files under a root of their own."""

    def write(**files: str) -> Path:
        for name, content in {"proc/meminfo": MEMINFO, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return write


def group(folder, *, used, limit, cached=0, v1=False):
    names = ("memory.usage_in_bytes", "memory.limit_in_bytes") if v1 else ("memory.current", "memory.max")
    key = "total_inactive_file" if v1 else "inactive_file"
    return {
        f"sys/fs/cgroup/{folder}{names[0]}": f"{used}\n",
        f"sys/fs/cgroup/{folder}{names[1]}": f"{limit}\n",
        f"sys/fs/cgroup/{folder}memory.stat": f"anon 1\n{key} {cached}\n",
    }


def test_the_limit_of_a_container_is_that_of_its_group(machine):
    root = machine(
        **{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": V2_MOUNT.format(source="/")},
        **group("", used=300 * MIB, limit=400 * MIB, cached=100 * MIB),
    )
    assert read_memory(root) == Memory(200 * MIB, 400 * MIB)
    assert read_memory(root).ratio == 0.5


def test_a_container_may_see_its_group_under_its_path_on_the_host(machine):
    root = machine(
        **{
            "proc/self/cgroup": "0::/kubepods/pod1/box\n",
            "proc/self/mountinfo": V2_MOUNT.format(source="/kubepods/pod1/box"),
        },
        **group("", used=100, limit=400),
    )
    assert read_memory(root) == Memory(100, 400)


def test_the_fullest_group_on_the_way_up_counts(machine):
    root = machine(
        **{"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": V2_MOUNT.format(source="/")},
        **group("a/b/", used=100, limit="max"),
        **group("a/", used=300, limit=400),
    )
    assert read_memory(root) == Memory(300, 400)


def test_cgroup_v1_has_other_file_names(machine):
    root = machine(
        **{
            "proc/self/cgroup": "4:cpu,cpuacct:/x\n3:memory:/docker/1\n",
            "proc/self/mountinfo": V1_MOUNT.format(source="/docker/1"),
        },
        **group("memory/", used=300, limit=400, cached=50, v1=True),
    )
    assert read_memory(root) == Memory(250, 400)


@pytest.mark.parametrize("limit", ["max", 9223372036854771712, 64 << 30])
def test_without_a_limit_below_that_of_the_machine_the_machine_counts(machine, limit):
    root = machine(
        **{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": V2_MOUNT.format(source="/")},
        **group("", used=100, limit=limit),
    )
    assert read_memory(root) == Memory(2 << 30, 8 << 30)


def test_a_mount_without_a_device_name_is_parsed(machine):
    nameless = "36 35 0:40 / /x rw - tmpfs  rw\n"
    root = machine(
        **{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": nameless + V2_MOUNT.format(source="/")},
        **group("", used=100, limit=400),
    )
    assert read_memory(root) == Memory(100, 400)


def test_without_groups_the_machine_counts(machine):
    assert read_memory(machine()) == Memory(2 << 30, 8 << 30)


def test_without_proc_the_memory_is_unknown(tmp_path):
    assert read_memory(tmp_path) is None


def test_the_memory_of_this_machine_is_plausible():
    memory = read_memory()
    assert memory is None or 0 < memory.ratio < 1
