"""The pool over real sockets: whatever happens to a runner, a window is decoded once more elsewhere, or refused."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from runners.batching.device import Load
from runners.client.interface import RESTART_SECONDS, ModelState, RunnerState
from runners.pool import messages, server
from runners.pool.member import PAUSES
from runners.pool.members import RESOLVE_SECONDS
from runners.pool.messages import MAX_BODY_BYTES, PREFIX, WINDOW_TYPE, WINDOWS_PATH
from tests.support.fixed_cost_runner import FixedCostHost, text_of
from tests.support.pool import TOKEN, fixed_cost, pool_of, served, until_unavailable, window
from tests.support.service import free_port
from transcription.core.errors import (
    InvalidParameter,
    ModelUnavailable,
    RefusedWindow,
    ServiceUnavailable,
    TranscriptionError,
    UnknownModel,
)
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import WindowResult

OPTIONS = DecodeOptions("demo")
TICKET = Ticket("request-1")
ADDRESS = f"{PREFIX}{WINDOWS_PATH}"


class Refusing:
    """A host whose windows all fail with the same error. asked: how many there were."""

    def __init__(self, error: TranscriptionError | None = None, backlog: float = 0.0) -> None:
        self.error, self.asked = error, 0
        self.load = Load(waiting=0, running=0, backlog=backlog, longest_wait=0.0, window_seconds=0.1)

    async def decode(self, *_: Any) -> WindowResult:
        self.asked += 1
        if self.error is None:
            await asyncio.Event().wait()
        raise type(self.error)(*self.error.__reduce__()[1])

    async def state(self) -> RunnerState:
        return RunnerState(True, "cpu", "int8", (ModelState("demo", True, True),), "", self.load.backlog)


class Recording(FixedCostHost):
    """Keeps what it was given."""

    deliveries: list[Any]

    async def decode(self, samples, options, ticket, delivery):
        self.deliveries = [*getattr(self, "deliveries", []), delivery]
        return await super().decode(samples, options, ticket, delivery)


async def text(pool, number: int = 0, ticket: Ticket = TICKET, options: DecodeOptions = OPTIONS) -> str:
    return (await pool.transcribe(window(number), options, ticket)).segments[0].text


def expected(number: int) -> str:
    return text_of(window(number).samples)


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def run(test):
    """Run a coroutine function with its fixtures in an event loop."""

    def wrapper(tmp_path):
        asyncio.run(test(tmp_path))

    wrapper.__name__, wrapper.__doc__ = test.__name__, test.__doc__
    return wrapper


@run
async def test_windows_are_shared_among_the_runners(tmp_path):
    hosts = [fixed_cost(tmp_path / name) for name in "ab"]
    async with served(hosts[0]) as (_, a), served(hosts[1]) as (_, b), pool_of([a, b]) as pool:
        texts = await asyncio.gather(*(text(pool, number, Ticket(str(number))) for number in range(16)))

        assert texts == [expected(number) for number in range(16)]
        assert all(host.events.windows for host in hosts)
        assert (await pool.state()).ready


@run
async def test_a_new_runner_takes_its_part_of_the_load(tmp_path):
    port, new = free_port(), fixed_cost(tmp_path / "b")
    async with served(fixed_cost(tmp_path / "a")) as (_, a), pool_of([a, port], known=1) as pool:
        assert await text(pool) == expected(0)
        async with served(new, port=port):
            await until(lambda: pool.ready_runners == 2)
            await asyncio.gather(*(text(pool, number, Ticket(str(number))) for number in range(16)))

            assert new.events.windows


def test_a_new_runner_is_found_within_two_seconds():
    """The longest pause of a client, before it looks at the names or asks an address again, leaves time to answer."""
    assert max(RESOLVE_SECONDS, *PAUSES) <= 1.5


@pytest.mark.parametrize("error", [UnknownModel("a", "b"), InvalidParameter("a", "b"), RefusedWindow("a", "b")])
def test_an_error_of_the_request_is_final(error):
    async def scenario():
        hosts = [Refusing(error), Refusing(error)]
        async with served(hosts[0]) as (_, a), served(hosts[1]) as (_, b), pool_of([a, b]) as pool:
            with pytest.raises(type(error)) as caught:
                await text(pool)
            assert (caught.value.message, caught.value.detail) == ("a", "b")
            assert sum(host.asked for host in hosts) == 1

    asyncio.run(scenario())


@run
async def test_a_refused_window_is_tried_on_another_runner(tmp_path):
    full, good = Refusing(ServiceUnavailable("full", "", 9.0)), fixed_cost(tmp_path)
    async with served(full) as (_, a), served(good) as (_, b), pool_of([a, b]) as pool:
        for number in range(6):
            assert await text(pool, number, Ticket(str(number))) == expected(number)


@run
async def test_when_all_refuse_the_shortest_wait_is_the_answer(tmp_path):
    hosts = [Refusing(ServiceUnavailable("full", "", seconds)) for seconds in (30.0, 9.0)]
    async with served(hosts[0]) as (_, a), served(hosts[1]) as (_, b), pool_of([a, b]) as pool:
        with pytest.raises(ServiceUnavailable) as caught:
            await text(pool)
        assert caught.value.retry_after == 9.0
        assert [host.asked for host in hosts] == [1, 1]


@run
async def test_a_request_that_one_runner_has_admitted_is_admitted_by_all(tmp_path):
    host = Recording(0.01, 4, ["demo"], tmp_path, 300.0)
    async with served(host) as (_, port), pool_of([port]) as pool:
        await text(pool, 0)
        await text(pool, 1)
        assert [delivery.admitted for delivery in host.deliveries] == [False, True]


@run
async def test_cancelling_takes_the_window_out_of_the_runners_queue(tmp_path):
    host = fixed_cost(tmp_path, seconds=0.5, batch=1)
    async with served(host) as (_, port), pool_of([port]) as pool:
        calls = [asyncio.create_task(text(pool, number)) for number in range(4)]
        await until(lambda: host.device.load().waiting == 3)
        for call in calls[1:]:
            call.cancel()
        await until(lambda: host.device.load().waiting == 0)
        assert await calls[0]


@run
async def test_a_model_is_asked_of_the_runners_that_serve_it(tmp_path):
    base, large = fixed_cost(tmp_path / "a", models=["demo"]), fixed_cost(tmp_path / "b", models=["large-v3"])
    async with served(base) as (_, a), served(large) as (_, b), pool_of([a, b]) as pool:
        for number in range(4):
            assert await text(pool, number, options=DecodeOptions("large")) == expected(number)
        assert (base.events.windows, large.events.windows) == (0, 4)
        with pytest.raises(ModelUnavailable, match="'tiny'"):
            await text(pool, options=DecodeOptions("tiny"))


@run
async def test_a_draining_runner_finishes_what_it_has_and_gets_nothing_more(tmp_path):
    hosts = [fixed_cost(tmp_path / name, seconds=0.2, batch=1) for name in "ab"]
    async with served(hosts[0]) as (draining, a), served(hosts[1]) as (_, b), pool_of([a, b]) as pool:
        calls = [asyncio.create_task(text(pool, number, Ticket(str(number)))) for number in range(6)]
        await until(lambda: hosts[0].device.load().running and hosts[0].device.load().waiting)
        draining.drain()
        await until(lambda: pool.ready_runners == 1)
        before = hosts[0].events.windows + hosts[0].device.load().waiting

        assert await asyncio.gather(*calls) == [expected(number) for number in range(6)]
        assert [await text(pool, number) for number in (7, 8, 9)] == [expected(number) for number in (7, 8, 9)]
        assert hosts[0].events.windows == before


@run
async def test_a_runner_of_another_version_is_not_asked(tmp_path):
    strange, good = Refusing(), fixed_cost(tmp_path)
    async with served(strange) as (other, a), served(good) as (_, b):
        other.versions = (messages.WIRE_VERSION + 1,)
        async with pool_of([a, b], known=1) as pool:
            for number in range(4):
                assert await text(pool, number) == expected(number)
        assert not strange.asked
        async with pool_of([a], known=0) as pool:
            assert "speaks versions" in (await until_unavailable(pool)).detail


@run
async def test_without_the_token_nothing_is_asked_and_the_reason_is_told(tmp_path):
    async with (
        served(fixed_cost(tmp_path), token="another secret of 32 characters!") as (_, port),
        pool_of([port], known=0) as pool,
    ):
        await asyncio.sleep(0.2)
        error = await until_unavailable(pool)
        assert "401" in error.detail and "RUNNER_TOKEN" in error.detail
        assert error.retry_after == RESTART_SECONDS
        with pytest.raises(ServiceUnavailable):
            await text(pool)


@run
async def test_a_runner_that_stands_still_is_given_up(tmp_path):
    silent, good = Refusing(), fixed_cost(tmp_path)
    async with served(silent) as (_, a), served(good) as (_, b), pool_of([a, b]) as pool:
        pool_sees_silence_after(pool, 0.5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server, "HEARTBEAT_SECONDS", 100.0)
            for number in range(4):
                assert await text(pool, number) == expected(number)
        assert silent.asked


def pool_sees_silence_after(pool, seconds: float) -> None:
    for member in pool._members:
        timeout = member._session.timeout
        member._session._timeout = type(timeout)(sock_connect=timeout.sock_connect, sock_read=seconds)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({"Content-Type": WINDOW_TYPE}, b"\0" * (MAX_BODY_BYTES + 1), 413),
        ({"Content-Type": WINDOW_TYPE}, b"\0\0\0\0\0\0", 400),
        ({"Content-Type": "application/vnd.bentoml+pickle"}, b"cos\nsystem\n(S'false'\ntR.", 415),
    ],
)
def test_a_malformed_request_is_refused(tmp_path, headers, body, status):
    async def scenario():
        async with served(fixed_cost(tmp_path)) as (_, port), httpx.AsyncClient(verify=False) as client:
            authorized = {**headers, "Authorization": f"Bearer {TOKEN}"}
            url = f"http://127.0.0.1:{port}{ADDRESS}"
            assert (await client.post(url, content=body, headers=authorized)).status_code == status

    asyncio.run(scenario())
