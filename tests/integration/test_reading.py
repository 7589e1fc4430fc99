"""Clients that only read: parallel readers of a long result, watchers of events, and clients that never read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from benchmarks.load import API, RUNNER, service_processes
from tests.resilience.crowd import Stored, store_jobs
from tests.support.answers import assert_error
from tests.support.connections import connect
from tests.support.load import sample
from tests.support.service import LocalService
from tests.support.waiting import wait_until
from transcription.core.settings import Settings
from transcription.system.malloc import RETURN_MEMORY

READERS, WATCHERS, MUTE = 32, 150, 20


@pytest.fixture(scope="module")
def jobs(service: LocalService, client: httpx.Client) -> Iterator[Stored]:
    """A finished one-hour job, and some that wait, in the store of the running service."""
    stored = asyncio.run(store_jobs(Settings(jobs_dir=service.log.parent / "jobs"), waiting=3))
    yield stored
    for job in (stored.finished, *stored.waiting):
        client.delete(f"/jobs/{job}")


def streams(client: httpx.Client) -> float:
    """The number of open streams of events."""
    return sample(client, "transcription_event_streams")


def test_the_result_is_left_out_of_a_status_on_request(client: httpx.Client, jobs: Stored) -> None:
    whole = client.get(f"/status/{jobs.finished}").json()
    assert len(whole["result"]["segments"]) == 1000
    del whole["result"]
    for query in ("include=none", "include=", "include=partial"):
        for path in ("status", "jobs"):
            answer = client.get(f"/{path}/{jobs.finished}?{query}")
            assert answer.json() == whole
            assert len(answer.content) < 1000
    assert client.get(f"/status/{jobs.finished}?include=result").json()["result"]["duration"] == 3600


def test_the_text_so_far_is_a_part_that_can_be_included(client: httpx.Client, jobs: Stored) -> None:
    assert client.get(f"/status/{jobs.waiting[0]}?include=partial").json()["partial"] == ""
    assert "partial" not in client.get(f"/status/{jobs.waiting[0]}").json()


def test_an_unknown_part_is_refused_and_the_known_ones_named(client: httpx.Client, jobs: Stored) -> None:
    refused = assert_error(client.get(f"/status/{jobs.finished}?include=all"), 422, "invalid_parameter")
    assert "result, partial, none" in refused["message"]


def test_the_process_that_is_read_from_returns_its_memory_and_the_model_keeps_its_own(service: LocalService) -> None:
    api, runner = (psutil.Process(*service_processes(service.process.pid, name)).environ() for name in (API, RUNNER))
    assert RETURN_MEMORY.items() <= api.items()
    assert not RETURN_MEMORY.items() & runner.items()


def test_parallel_readers_all_get_the_same_result(service: LocalService, jobs: Stored) -> None:
    with ThreadPoolExecutor(READERS) as readers, httpx.Client(base_url=service.url, timeout=120) as http:
        answers = list(readers.map(lambda _: http.get(f"/status/{jobs.finished}"), range(READERS)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_probes_are_answered_while_a_crowd_watches_or_never_reads_and_nothing_of_it_remains(
    service: LocalService, client: httpx.Client, jobs: Stored
) -> None:
    before = streams(client)
    with ExitStack() as stack:
        for _ in range(MUTE):
            mute = stack.enter_context(connect(service))
            mute.sendall(f"GET /jobs/{jobs.finished}/result HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for number in range(WATCHERS):
            watcher = stack.enter_context(connect(service))
            job = jobs.waiting[number % len(jobs.waiting)]
            watcher.sendall(f"GET /jobs/{job}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert watcher.recv(12) == b"HTTP/1.1 200"
        assert streams(client) - before == WATCHERS
        assert client.get("/health/live").status_code == 200
    assert wait_until(lambda: streams(client) == before)
