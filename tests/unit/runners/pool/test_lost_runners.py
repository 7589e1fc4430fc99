"""Runners that die or cannot be reached, over real sockets: no text is lost, and only windows that kill are refused."""

from __future__ import annotations

import asyncio
import signal
import time

import httpx
import pytest

from runners.pool import messages
from runners.pool.deaths import UNDER_WAY_SECONDS
from runners.pool.messages import WINDOW_TYPE
from tests.support.fixed_cost_runner import POISON
from tests.support.network import machines
from tests.support.pool import TOKEN, fixed_cost, pool_of, runner_processes, served, window
from tests.support.relay import relay
from tests.unit.runners.pool.test_pool import (
    ADDRESS,
    OPTIONS,
    TICKET,
    expected,
    pool_sees_silence_after,
    run,
    text,
    until,
)
from transcription.core.errors import RefusedWindow
from transcription.core.options import Ticket


@run
async def test_killed_runners_cost_no_text_and_a_window_that_kills_is_refused_after_two(tmp_path):
    with runner_processes(tmp_path, 3, "--seconds", "0.1", "--batch", "2") as runners:
        async with pool_of(runners.ports) as pool:
            # Each window twice: those that are lost together must not count as two deaths.
            calls = [asyncio.create_task(text(pool, number // 2, Ticket(str(number)))) for number in range(30)]
            await until(lambda: any(call.done() for call in calls))
            runners.processes[0].send_signal(signal.SIGKILL)
            assert await asyncio.gather(*calls) == [expected(number // 2) for number in range(30)]

            runners.restart(0)
            await until(lambda: pool.ready_runners == 3)
            poisoned = window(99)
            poisoned.samples[0] = POISON
            for _ in range(2):  # the second time without a death
                with pytest.raises(RefusedWindow):
                    await pool.transcribe(poisoned, OPTIONS, TICKET)
            # A connection ends a little earlier than its process.
            await until(lambda: sum(process.poll() is not None for process in runners.processes) >= 2)
            ended = [process.poll() for process in runners.processes]
            assert sorted(ended, key=str) == [-signal.SIGKILL, -signal.SIGKILL, None]
            assert await text(pool, 1) == expected(1)


@run
async def test_windows_of_a_runner_that_is_cut_off_are_decoded_by_another(tmp_path):
    with machines(1) as far, runner_processes(tmp_path, 2, "--seconds", "0.1", "--batch", "2", machines=far) as runners:
        async with pool_of(runners.ports, runner_url=runners.url) as pool:
            calls = [asyncio.create_task(text(pool, number, Ticket(str(number)))) for number in range(40)]
            await until(lambda: any(call.done() for call in calls))
            far[0].cut()
            assert await asyncio.gather(*calls) == [expected(number) for number in range(40)]
            await until(lambda: pool.ready_runners == 1)
            assert await text(pool, 41) == expected(41)
            far[0].mend()
            await until(lambda: pool.ready_runners == 2)


@run
async def test_a_window_may_be_cut_off_from_one_runner_after_the_other(tmp_path):
    """A cut is no death: the same process answers when it is over."""
    with machines(2) as far, runner_processes(tmp_path, 2, "--seconds", "1", machines=far) as runners:
        async with pool_of(runners.ports, runner_url=runners.url) as pool:
            pool_sees_silence_after(pool, 3.0)
            left = {machine.address: machine for machine in far}
            while left:
                call = asyncio.create_task(text(pool, 0))
                await until(lambda: any(member.is_busy for member in pool._members))
                (busy,) = (member.address.ip for member in pool._members if member.is_busy)
                await asyncio.sleep(0.5)  # it is on the device
                if machine := left.pop(busy, None):
                    machine.cut()
                assert await call == expected(0)
                if machine:
                    machine.mend()
                    await until(lambda: pool.ready_runners == 2)
            assert await text(pool, 0) == expected(0)


@run
async def test_a_runner_that_was_held_dead_and_answers_again_is_no_death_of_its_window(tmp_path):
    """Something between client and runner ends connections, as a proxy that starts again: no runner has died."""
    async with (
        served(fixed_cost(tmp_path, seconds=1.0)) as (_, port),
        relay(port) as way,
        pool_of([way.port]) as pool,
        pool_of([port]) as other,
    ):
        ahead = 0.0
        pool._deaths._wall = other._deaths._wall = lambda: time.time() + ahead
        for _ in range(3):
            call = asyncio.create_task(text(pool, 0))
            await until(lambda: any(member.is_busy for member in pool._members))
            await asyncio.sleep(0.5)  # it is on the device
            way.close()
            await until(lambda: not pool._deaths.suspects_none)
            await way.open()
            assert await call == expected(0)  # with the death, which the runner then tells all clients
            await until(lambda: pool.ready_runners == 1 and not other._deaths.suspects_none)
            ahead += UNDER_WAY_SECONDS
            await until(lambda: pool._deaths.suspects_none and other._deaths.suspects_none)


@run
async def test_what_one_client_has_learnt_of_a_window_that_kills_every_client_knows(tmp_path):
    with runner_processes(tmp_path, 4, "--batch", "1") as runners:
        poisoned = window(99)
        poisoned.samples[0] = POISON
        async with pool_of(runners.ports) as first:
            with pytest.raises(RefusedWindow):
                await first.transcribe(poisoned, OPTIONS, TICKET)
        await until(lambda: sum(process.poll() is not None for process in runners.processes) == 2)
        alive = [process for process in runners.processes if process.poll() is None]
        async with pool_of(runners.ports, known=2) as second:
            with pytest.raises(RefusedWindow):
                await second.transcribe(poisoned, OPTIONS, TICKET)
            assert [process.poll() for process in alive] == [None, None]
            assert await text(second, 1) == expected(1)


@run
async def test_a_runner_tells_every_client_of_the_deaths_that_one_has_told_it(tmp_path):
    host = fixed_cost(tmp_path / "other")
    async with served(fixed_cost(tmp_path / "told")) as (runner, told), served(host) as (_, other):
        now = time.time()
        message = messages.WindowMessage(window(0).samples, OPTIONS, TICKET, deaths={"one": now - 2, "two": now - 1})
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": WINDOW_TYPE}
        async with httpx.AsyncClient(headers=headers) as client:
            body = messages.render_window(message)
            answer = await client.post(f"http://127.0.0.1:{told}{ADDRESS}", content=body)
        assert RefusedWindow.code in answer.text

        async with pool_of([told, other]) as pool:
            runner.drain()
            await until(lambda: pool.ready_runners == 1)
            with pytest.raises(RefusedWindow):
                await text(pool)
            assert host.events.windows == 0
            assert await text(pool, 1) == expected(1)
