"""A process that reads a client's file has few resources, no privileges, and inherits nothing from the service."""

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.commands import RESOURCES, run
from tests.support.media_files import ROOT, SPOKEN, media_children, silent_movie
from transcription.media.sandbox.launcher import ENVIRONMENT as PROGRAMS_ENVIRONMENT
from transcription.media.sandbox.process import ENVIRONMENT, OPEN_FILES, PROCESSES, inspecting, limits

# What the kernel shows of RESOURCES in /proc/PID/limits: name, soft and hard limit.
SHOWN = {
    ("Max address space", "1073741824", "1073741824"),
    ("Max cpu time", "5", "5"),
    ("Max file size", "0", "0"),
    ("Max core file size", "0", "0"),
    ("Max open files", str(OPEN_FILES), str(OPEN_FILES)),
    ("Max processes", str(PROCESSES), str(PROCESSES)),
}


def rows_of(table):
    """The soft and hard limits in /proc/PID/limits, by name."""
    return {tuple(re.split(r"\s{2,}", line)[:3]) for line in table.splitlines()}


def shows_limits(pid):
    return rows_of(Path(f"/proc/{pid}/limits").read_text()) >= SHOWN


def python(code, resources=RESOURCES):
    return run(sys.executable, "-I", "-S", "-c", code, resources=resources)


@asynccontextmanager
async def inspector_at_work(folder):
    """The process that inspects a file, blocked on a pipe without a writer."""
    os.mkfifo(folder / "pipe")
    pipe = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    async with inspecting(pipe, "wav", RESOURCES):
        os.close(pipe)
        while not media_children() or not shows_limits(media_children()[0].pid):
            await asyncio.sleep(0.02)
        yield media_children()[0]


def test_a_program_has_its_limits():
    _, table, _ = run("/bin/cat", "/proc/self/limits")
    assert rows_of(table) >= SHOWN


def test_the_priority_of_a_service_that_was_started_with_a_low_one_is_not_raised():
    """That requires a privilege which an ordinary user does not have, and without it no file would be read."""
    code = "from tests.support.commands import run; print(run('/usr/bin/nice')[1])"
    done = subprocess.run(["nice", "-n", "15", sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == [str(min(19, os.getpriority(os.PRIO_PROCESS, 0) + 15))], done.stderr


def test_an_inspector_has_its_limits_no_privileges_no_environment_and_four_descriptors(tmp_path):
    async def look():
        async with inspector_at_work(tmp_path) as inspector:
            assert shows_limits(inspector.pid)
            assert "NoNewPrivs:\t1" in Path(f"/proc/{inspector.pid}/status").read_text()
            assert os.getsid(inspector.pid) == inspector.pid
            assert inspector.environ() == ENVIRONMENT
            assert inspector.num_fds() == 4

    asyncio.run(look())
    assert media_children() == []


def test_memory_above_the_limit_is_not_allocated():
    code, _, complaints = python("bytearray(1 << 30)")
    assert code == 1
    assert "MemoryError" in complaints


def test_cpu_time_above_the_limit_kills_the_process():
    code, _, _ = python("while True: pass", resources=limits(memory=1 << 30, cpu_seconds=1))
    assert code in (-signal.SIGXCPU, -signal.SIGKILL)


def test_no_file_can_be_written(tmp_path):
    code, _, _ = run("/bin/sh", "-c", f"echo x > '{tmp_path}/file'")
    assert code == -signal.SIGXFSZ
    assert (tmp_path / "file").read_bytes() == b""


def test_a_program_cannot_gain_privileges_and_has_its_own_session():
    _, said, _ = python("import os; print(open('/proc/self/status').read(), 'own', os.getsid(0) == os.getpid())")
    assert "NoNewPrivs:\t1" in said
    assert "own True" in said


def test_the_environment_of_a_program_is_a_locale_only(monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    _, said, _ = run("/usr/bin/env")
    assert dict(line.split("=", 1) for line in said.splitlines()) == PROGRAMS_ENVIRONMENT


def test_a_program_has_only_the_standard_descriptors():
    _, said, _ = python("import os; print(*((n, os.path.exists(f'/proc/self/fd/{n}')) for n in range(100)))")
    assert said.count("True") == 3
    assert run("/bin/readlink", "/proc/self/fd/0")[1] == "/dev/null\n"


def test_a_program_ignores_and_blocks_no_signals_even_if_the_service_does():
    code = "from tests.support.commands import run; print(run('/bin/cat', '/proc/self/status')[1])"
    ignoring = ["/bin/sh", "-c", 'trap \'\' HUP INT QUIT; exec "$0" -c "$1"', sys.executable, code]
    said = subprocess.run(ignoring, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    masks = [int(line.split(":\t")[1], 16) for line in said.splitlines() if line.startswith(("SigIgn", "SigBlk"))]
    assert len(masks) == 2
    # Not all of them: the C library keeps a few for its threads and lets no program touch those.
    assert not [number for number in signal.valid_signals() for mask in masks if mask >> (number - 1) & 1]


def test_inspecting_imports_nothing_once_the_file_is_open(tmp_path):
    """An attacker who controls the parser finds no import to hijack, and no child spends time on imports."""
    code = """
import sys
from transcription.media.sandbox.inspect_streams import describe
before = set(sys.modules)
for path, demuxer in zip(sys.argv[1::2], sys.argv[2::2]):
    assert "error" not in describe(path, demuxer)
print(*set(sys.modules) - before)
"""
    files = [str(silent_movie(tmp_path / "a.mp4")), "mov", str(SPOKEN), "mp3"]
    said = subprocess.run([sys.executable, "-c", code, *files], cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout.split() == []


def test_the_limits_of_the_calling_process_are_unchanged():
    before = resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_NOFILE)
    run("/bin/true")
    assert (resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_NOFILE)) == before
