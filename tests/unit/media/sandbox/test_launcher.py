"""Each command runs in a fresh process, which ends in any order of deaths."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.commands import RESOURCES, finished, run
from tests.support.media_files import ROOT, launchers, media_children, noise, write_flac
from tests.support.waiting import wait_until
from transcription.core.errors import ServiceUnavailable
from transcription.media import probe as probing
from transcription.media.probe import probe
from transcription.media.sandbox import launcher_protocol as orders
from transcription.media.sandbox import process
from transcription.media.sandbox.process import confined, warm_up

SLEEP = ["/bin/sleep", "1000"]


def the_launcher():
    warm_up()
    [launcher] = launchers()
    return launcher


def open_descriptors():
    return the_launcher().num_fds(), psutil.Process().num_fds()


def is_gone(pid):
    """Whether the process has ended. Orphans may be reaped with a delay."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9), ("kill -15 $$", -15)])
def test_the_exit_code_is_reported(script, code):
    assert run("/bin/sh", "-c", script)[0] == code


def test_a_missing_program_fails_with_a_message():
    code, _, complaints = run("/no/such/program")
    assert code == orders.NOT_STARTED
    assert "FileNotFoundError" in complaints


def test_fifty_concurrent_commands_keep_their_output_apart():
    async def all_of_them():
        return await asyncio.gather(*(finished("/bin/sh", "-c", f"echo {n}; exit {n}") for n in range(50)))

    assert asyncio.run(all_of_them()) == [(n, f"{n}\n", "") for n in range(50)]
    assert media_children() == []


def test_orders_wait_for_a_busy_launcher():
    """More orders than the socket holds; in practice a launcher is this busy for milliseconds only."""
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


def test_finished_and_cancelled_commands_leave_no_descriptor_open():
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


def test_cancellation_kills_a_program_and_its_descendants():
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


def test_cancellation_before_the_start_leaves_no_process():
    async def cancel_soon():
        task = asyncio.create_task(finished(*SLEEP))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancel_soon())
    assert wait_until(lambda: media_children() == [])


def test_descendants_of_a_program_end_with_it():
    _, said, _ = run("/bin/sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
    assert wait_until(lambda: is_gone(int(said)))


def test_no_process_survives_when_the_client_is_killed():
    """The client is a separate process, with a program that has started another."""
    code = f"""
import asyncio
from transcription.media.sandbox.process import confined
from tests.support.media_files import launchers

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


def test_no_process_survives_when_the_client_and_its_launcher_are_killed_together():
    code = f"""
import asyncio
from transcription.media.sandbox.process import confined
from tests.support.media_files import launchers, media_children

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


def test_a_new_launcher_is_started_after_one_has_died():
    first = the_launcher()
    first.kill()
    assert wait_until(lambda: is_gone(first.pid))
    assert run("/bin/echo", "hello")[1] == "hello\n"
    assert the_launcher().pid != first.pid


def test_the_death_of_the_launcher_kills_its_commands_and_is_reported_as_unavailable():
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


def test_the_death_of_the_launcher_during_a_probe_is_not_blamed_on_the_file(tmp_path, settings, uploaded, monkeypatch):
    launcher = the_launcher()
    launcher.suspend()
    send = orders.send

    def send_and_kill(*arguments):
        send(*arguments)
        launcher.kill()

    monkeypatch.setattr(orders, "send", send_and_kill)
    with pytest.raises(ServiceUnavailable):
        asyncio.run(probe(uploaded(write_flac(tmp_path / "a.flac", noise(1))), settings))


def test_a_launcher_that_is_stopped_is_replaced_and_its_files_are_answered(tmp_path, settings, uploaded, monkeypatch):
    run("/bin/true")  # the launcher of an earlier test may be dying
    monkeypatch.setattr(process, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(probing, "ANSWER_SECONDS", 0.2)
    upload = uploaded(write_flac(tmp_path / "a.flac", noise(1)))
    stopped = the_launcher()
    stopped.suspend()
    with pytest.raises(ServiceUnavailable):
        asyncio.run(probe(upload, settings))
    assert wait_until(lambda: is_gone(stopped.pid))
    monkeypatch.undo()
    assert asyncio.run(probe(upload, settings)).format == "FLAC"


def test_the_cpu_time_of_a_command_is_reported():
    async def spin():
        async with confined([sys.executable, "-I", "-S", "-c", "sum(range(10**7))"], RESOURCES) as process:
            await process.stdout.read()
            return await process.wait()

    end = asyncio.run(spin())
    assert end.code == 0
    assert 0.05 < end.cpu_seconds < RESOURCES["CPU"]


def test_an_end_is_sent_as_a_short_message():
    end = orders.End(-9, 123456.789)
    assert orders.End.decode(end.encode()) == end
    assert len(end.encode()) <= orders.END_BYTES


def test_a_launcher_without_free_descriptors_rejects_orders_and_continues():
    launcher = the_launcher()

    async def until_closed():
        async with confined(["/bin/true"], RESOURCES) as process:
            await process.wait()
            # It tells that a process ended a moment before it closes the channel.
            assert await asyncio.get_running_loop().sock_recv(process._channel, 1) == b""

    asyncio.run(until_closed())
    few = launcher.num_fds() + 1
    _, most = launcher.rlimit(psutil.RLIMIT_NOFILE)
    launcher.rlimit(psutil.RLIMIT_NOFILE, (few, most))
    with pytest.raises(ServiceUnavailable):
        run("/bin/true")
    launcher.rlimit(psutil.RLIMIT_NOFILE, (most, most))
    assert run("/bin/true")[0] == 0
    assert the_launcher().pid == launcher.pid


def test_relative_paths_are_relative_to_the_clients_working_folder():
    assert run("/bin/pwd")[1].strip() == str(Path.cwd())
