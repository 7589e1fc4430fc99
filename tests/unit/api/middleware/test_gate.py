"""Reads, uploads and probes are let in a few at a time, apart from each other; what is too much is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from transcription.api.app import route_table
from transcription.api.middleware import gate
from transcription.api.middleware.gate import AT_ONCE, CROWDED, GateMiddleware
from transcription.bentoml_patches import bounded_connections

METRICS = ("GET", "/metrics")
READ, PROBE, UPLOAD = ("GET", "/status/7"), ("GET", "/health/live"), ("POST", "/transcribe")


class Inner:
    """The application behind the gate.

    inside: requests that it was given. It reads their bodies after `read`, which is set, begins its responses after
    `go`, and ends them after `finish`.
    """

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.read = asyncio.Event()
        self.read.set()
        self.go = asyncio.Event()
        self.finish = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.inside.append(scope["path"])
        await self.read.wait()
        await receive()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.finish.wait()
        await send({"type": "http.response.body", "body": b""})


def run(scenario: Callable[[Inner, Callable[..., asyncio.Task[int]]], Awaitable[None]]) -> None:
    async def limited() -> None:
        inner = Inner()
        entrance = GateMiddleware(inner, route_table())

        async def status(method: str, path: str, **state: bool) -> int:
            sent: list[Any] = []

            async def receive() -> Any:
                return {"type": "http.request", "body": b""}

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {"type": "http", "method": method, "path": path, "headers": [], "state": state}
            await entrance(scope, receive, send)
            return int(sent[0]["status"])

        def ask(route: tuple[str, str], **state: bool) -> asyncio.Task[int]:
            return asyncio.create_task(status(*route, **state))

        async with asyncio.timeout(10):
            await scenario(inner, ask)

    asyncio.run(limited())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_reads_are_let_in_a_few_at_a_time_until_their_response_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HOLD_SECONDS", 60.0)

    async def scenario(inner: Inner, ask: Any) -> None:
        reads = [ask(READ) for _ in range(AT_ONCE + 3)]
        await settle()
        assert len(inner.inside) == AT_ONCE
        inner.go.set()  # their bodies are still being sent
        await settle()
        assert len(inner.inside) == len(reads)
        inner.finish.set()
        assert await asyncio.gather(*reads) == [200] * len(reads)

    run(scenario)


def test_probes_and_uploads_pass_a_queue_of_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HOLD_SECONDS", 60.0)

    async def scenario(inner: Inner, ask: Any) -> None:
        asked = [*(ask(READ) for _ in range(AT_ONCE + 3)), ask(PROBE), ask(UPLOAD)]
        await settle()
        assert inner.inside[-2:] == [PROBE[1], UPLOAD[1]]
        inner.go.set()
        inner.finish.set()
        await asyncio.gather(*asked)

    run(scenario)


@pytest.mark.parametrize("route", [READ, UPLOAD, METRICS])
def test_requests_that_wait_for_nothing_do_not_all_precede_a_probe(route: tuple[str, str]) -> None:
    async def scenario(inner: Inner, ask: Any) -> None:
        inner.go.set()
        inner.finish.set()
        asked = [*(ask(route) for _ in range(AT_ONCE * 10)), ask(PROBE)]
        assert await asyncio.gather(*asked) == [200] * len(asked)
        assert inner.inside.index(PROBE[1]) <= AT_ONCE

    run(scenario)


def test_a_probe_that_waits_delays_no_other() -> None:
    async def scenario(inner: Inner, ask: Any) -> None:
        probes = [ask(PROBE) for _ in range(AT_ONCE + 3)]
        while len(inner.inside) < len(probes):
            await asyncio.sleep(0)
        inner.go.set()
        inner.finish.set()
        await asyncio.gather(*probes)

    run(scenario)


def test_an_upload_gives_its_place_to_the_next_when_its_body_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HOLD_SECONDS", 60.0)

    async def scenario(inner: Inner, ask: Any) -> None:
        inner.read.clear()
        uploads = [ask(UPLOAD) for _ in range(AT_ONCE + 3)]
        await settle()
        assert len(inner.inside) == AT_ONCE
        inner.read.set()
        await settle()
        assert len(inner.inside) == len(uploads)
        inner.go.set()
        inner.finish.set()
        await asyncio.gather(*uploads)

    run(scenario)


def test_a_read_that_waits_for_the_store_gives_its_place_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HOLD_SECONDS", 0.01)

    async def scenario(inner: Inner, ask: Any) -> None:
        asked = [ask(READ) for _ in range(AT_ONCE * 3)]
        while len(inner.inside) < len(asked):
            await asyncio.sleep(0)
        inner.go.set()
        inner.finish.set()
        await asyncio.gather(*asked)

    run(scenario)


def test_more_reads_than_may_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HOLD_SECONDS", 60.0)
    monkeypatch.setattr(gate, "MAX_WAITING", 2)

    async def scenario(inner: Inner, ask: Any) -> None:
        asked = [ask(READ) for _ in range(AT_ONCE + 2)]
        await settle()
        assert await ask(READ) == 503
        inner.go.set()
        inner.finish.set()
        assert await asyncio.gather(*asked) == [200] * len(asked)

    run(scenario)


def test_on_a_connection_beyond_the_limit_only_probes_are_answered() -> None:
    async def scenario(inner: Inner, ask: Any) -> None:
        inner.go.set()
        inner.finish.set()
        crowded = {CROWDED: True}
        assert [await ask(route, **crowded) for route in (READ, UPLOAD, PROBE)] == [503, 503, 200]

    run(scenario)


def test_the_connections_and_the_gate_agree_on_the_mark() -> None:
    assert CROWDED == bounded_connections.CROWDED
