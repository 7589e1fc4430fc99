"""Every file gets a fresh process that has next to nothing, and that ends in time whoever dies first."""

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from errors import ServiceUnavailable
from media.probe import probe
from media.process import ENVIRONMENT, OPEN_FILES, confined, inspecting, limits, warm_up
from tests.media_files import ROOT, SPOKEN, launchers, media_children, noise, silent_movie, write_wav

RESOURCES = limits(memory=1 << 30, cpu_seconds=5)
SLEEP = ["/bin/sleep", "1000"]
# What the kernel shows of RESOURCES in /proc/PID/limits: name, soft and hard limit.
SHOWN = {
    ("Max address space", "1073741824", "1073741824"),
    ("Max cpu time", "5", "5"),
    ("Max file size", "0", "0"),
    ("Max core file size", "0", "0"),
    ("Max open files", str(OPEN_FILES), str(OPEN_FILES)),
}


async def finished(*command, resources=RESOURCES):
    """Exit code, stdout and stderr of a command."""
    async with confined(command, resources) as process:
        said, complaints = await asyncio.gather(process.stdout.read(), process.stderr.read())
        return await process.wait(), said.decode(), complaints.decode()


def run(*command, resources=RESOURCES):
    return asyncio.run(finished(*command, resources=resources))


def python(code, resources=RESOURCES):
    return run(sys.executable, "-I", "-S", "-c", code, resources=resources)


def the_launcher():
    warm_up()
    [launcher] = launchers()
    return launcher


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def is_gone(pid):
    """Whether the process is dead. Who adopts an orphan may take a while to reap it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def open_descriptors():
    return the_launcher().num_fds(), psutil.Process().num_fds()


@asynccontextmanager
async def inspector_at_work(folder):
    """The process that inspects a file, held up by a pipe that nobody writes to."""
    os.mkfifo(folder / "pipe")
    async with inspecting(folder / "pipe", "wav", RESOURCES):
        while not media_children() or not shows_limits(media_children()[0].pid):
            await asyncio.sleep(0.02)
        yield media_children()[0]


def shows_limits(pid):
    return rows_of(Path(f"/proc/{pid}/limits").read_text()) >= SHOWN


def rows_of(table):
    """What /proc/PID/limits says: names with their soft and hard limit."""
    return {tuple(re.split(r"\s{2,}", line)[:3]) for line in table.splitlines()}


def test_a_program_has_its_limits():
    _, table, _ = run("/bin/cat", "/proc/self/limits")
    assert rows_of(table) >= SHOWN


def test_an_inspector_has_its_limits_no_privileges_no_environment_and_three_descriptors(tmp_path):
    async def look():
        async with inspector_at_work(tmp_path) as inspector:
            assert shows_limits(inspector.pid)
            assert "NoNewPrivs:\t1" in Path(f"/proc/{inspector.pid}/status").read_text()
            assert os.getsid(inspector.pid) == inspector.pid
            assert inspector.environ() == ENVIRONMENT
            assert inspector.num_fds() == 3

    asyncio.run(look())
    assert media_children() == []


def test_more_memory_than_allowed_is_refused():
    code, _, complaints = python("bytearray(1 << 30)")
    assert code == 1
    assert "MemoryError" in complaints


def test_more_cpu_time_than_allowed_ends_the_process():
    code, _, _ = python("while True: pass", resources=limits(memory=1 << 30, cpu_seconds=1))
    assert code in (-signal.SIGXCPU, -signal.SIGKILL)


def test_no_file_can_be_written(tmp_path):
    code, _, _ = run("/bin/sh", "-c", f"echo x > '{tmp_path}/file'")
    assert code == -signal.SIGXFSZ
    assert (tmp_path / "file").read_bytes() == b""


def test_a_program_can_gain_no_privileges_and_has_a_session_of_its_own():
    _, said, _ = python("import os; print(open('/proc/self/status').read(), 'own', os.getsid(0) == os.getpid())")
    assert "NoNewPrivs:\t1" in said
    assert "own True" in said


def test_a_program_sees_no_environment_but_a_locale_and_a_path(monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    _, said, _ = run("/usr/bin/env")
    assert dict(line.split("=", 1) for line in said.splitlines()) == ENVIRONMENT


def test_a_program_has_no_descriptor_but_its_standard_ones():
    _, said, _ = python("import os; print(*((n, os.path.exists(f'/proc/self/fd/{n}')) for n in range(100)))")
    assert said.count("True") == 3
    assert run("/bin/readlink", "/proc/self/fd/0")[1] == "/dev/null\n"


def test_no_signal_is_ignored_or_blocked_in_a_program():
    _, said, _ = run("/bin/cat", "/proc/self/status")
    masks = dict(line.split(":\t") for line in said.splitlines() if line.startswith(("SigIgn", "SigBlk")))
    assert {int(mask, 16) for mask in masks.values()} == {0}


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9), ("kill -15 $$", -15)])
def test_the_exit_code_arrives(script, code):
    assert run("/bin/sh", "-c", script)[0] == code


def test_a_program_that_does_not_exist_fails_and_says_so():
    code, _, complaints = run("/no/such/program")
    assert code == 1
    assert "FileNotFoundError" in complaints


def test_fifty_commands_at_once_give_each_its_own_answer():
    async def all_of_them():
        return await asyncio.gather(*(finished("/bin/sh", "-c", f"echo {n}; exit {n}") for n in range(50)))

    assert asyncio.run(all_of_them()) == [(n, f"{n}\n", "") for n in range(50)]
    assert media_children() == []


def test_orders_wait_for_a_launcher_that_is_busy():
    """More than the socket holds; a real launcher is that busy for milliseconds."""
    launcher = the_launcher()

    async def all_of_them():
        launcher.suspend()
        asyncio.get_running_loop().call_later(0.2, launcher.resume)
        return await asyncio.gather(*(finished("/bin/echo", str(n)) for n in range(120)))

    assert [said for _, said, _ in asyncio.run(all_of_them())] == [f"{n}\n" for n in range(120)]


def test_there_is_one_launcher_and_it_has_one_thread():
    warm_up()
    asyncio.run(finished("/bin/true"))
    assert the_launcher().num_threads() == 1


def test_no_descriptor_is_left_open_by_commands_that_end_or_are_cancelled():
    async def rounds(number):
        for _ in range(number):
            await finished("/bin/true")
            async with confined(SLEEP, RESOURCES):
                pass

    asyncio.run(rounds(1))
    launchers_before, ours_before = open_descriptors()
    asyncio.run(rounds(10))
    launchers_after, ours_after = open_descriptors()
    # The launcher tells that a process ended a moment before it closes the channel.
    assert abs(launchers_after - launchers_before) <= 1
    assert ours_after == ours_before


def test_cancelling_kills_a_program_and_all_it_started():
    async def cancel_it():
        script = "sleep 1000 & echo $!; sleep 1000"
        started = asyncio.get_running_loop().create_future()

        async def work():
            async with confined(["/bin/sh", "-c", script], RESOURCES) as process:
                started.set_result(int(await process.stdout.readline()))
                await process.wait()

        task = asyncio.create_task(work())
        grandchild = await started
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert media_children() == []
        return grandchild

    grandchild = asyncio.run(cancel_it())
    assert wait_until(lambda: is_gone(grandchild))


def test_cancelling_before_the_process_exists_leaves_none():
    async def cancel_soon():
        task = asyncio.create_task(finished(*SLEEP))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancel_soon())
    assert wait_until(lambda: media_children() == [])


def test_what_a_program_leaves_behind_ends_with_it():
    _, said, _ = run("/bin/sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
    assert wait_until(lambda: is_gone(int(said)))


def test_nothing_survives_when_this_process_is_killed():
    """The process is a real one of its own, with a program that has started another."""
    code = f"""
import asyncio
from media.process import confined
from tests.media_files import launchers

async def main():
    script = 'echo $$; sleep 1000 & echo $!; sleep 1000'
    async with confined(["/bin/sh", "-c", script], {RESOURCES}) as process:
        leader, other = [int(await process.stdout.readline()) for _ in range(2)]
        print(launchers()[0].pid, leader, other, flush=True)
        await process.wait()

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as ours:
        numbers = [int(word) for word in ours.stdout.readline().split()]
        assert len(numbers) == 3
        ours.kill()
    for number in numbers:
        assert wait_until(lambda pid=number: is_gone(pid))


def test_nothing_survives_when_this_process_and_its_launcher_are_killed_at_once():
    code = f"""
import asyncio
from media.process import confined
from tests.media_files import launchers, media_children

async def main():
    async with confined({SLEEP}, {RESOURCES}) as process:
        while not media_children():
            await asyncio.sleep(0.02)
        print(launchers()[0].pid, media_children()[0].pid, flush=True)
        await process.wait()

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as ours:
        launcher, child = (int(word) for word in ours.stdout.readline().split())
        os.kill(launcher, signal.SIGKILL)
        ours.kill()
    assert wait_until(lambda: is_gone(launcher) and is_gone(child))


def test_the_command_after_the_end_of_a_launcher_gets_a_new_one():
    first = the_launcher()
    first.kill()
    assert wait_until(lambda: is_gone(first.pid))
    assert run("/bin/echo", "hello")[1] == "hello\n"
    assert the_launcher().pid != first.pid


def test_a_command_whose_launcher_dies_is_an_error_of_the_service_and_dies_too():
    async def kill_the_launcher():
        async with confined(SLEEP, RESOURCES) as process:
            while not media_children():
                await asyncio.sleep(0.02)
            child = media_children()[0].pid
            the_launcher().kill()
            with pytest.raises(ServiceUnavailable, match="Try again"):
                await process.wait()
            return child

    child = asyncio.run(kill_the_launcher())
    assert wait_until(lambda: is_gone(child))


def test_a_probe_whose_launcher_dies_does_not_blame_the_file(tmp_path, settings, uploaded):
    launcher = the_launcher()

    async def kill_the_launcher():
        launcher.suspend()
        asyncio.get_running_loop().call_later(0.2, launcher.kill)
        await probe(uploaded(write_wav(tmp_path / "a.wav", noise(1))), settings)

    with pytest.raises(ServiceUnavailable):
        asyncio.run(kill_the_launcher())


def test_a_launcher_without_descriptors_refuses_and_goes_on():
    launcher = the_launcher()
    run("/bin/true")
    few = launcher.num_fds() + 1
    _, most = launcher.rlimit(psutil.RLIMIT_NOFILE)
    launcher.rlimit(psutil.RLIMIT_NOFILE, (few, most))
    with pytest.raises(ServiceUnavailable):
        run("/bin/true")
    launcher.rlimit(psutil.RLIMIT_NOFILE, (most, most))
    assert run("/bin/true")[0] == 0
    assert the_launcher().pid == launcher.pid


def test_a_relative_path_is_relative_to_our_own_folder():
    assert run("/bin/pwd")[1].strip() == str(Path.cwd())


def test_inspecting_imports_nothing_once_the_file_is_open(tmp_path):
    """A parser that was taken over finds no import to hijack, and every child is spared the time."""
    code = """
import sys
from media.inspect_streams import describe
before = set(sys.modules)
for path, demuxer in zip(sys.argv[1::2], sys.argv[2::2]):
    assert "error" not in describe(path, demuxer)
print(*set(sys.modules) - before)
"""
    files = [str(silent_movie(tmp_path / "a.mp4")), "mov", str(SPOKEN), "mp3"]
    said = subprocess.run([sys.executable, "-c", code, *files], cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout.split() == []


def test_the_limits_of_this_process_are_untouched():
    before = resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_NOFILE)
    run("/bin/true")
    assert (resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_NOFILE)) == before
