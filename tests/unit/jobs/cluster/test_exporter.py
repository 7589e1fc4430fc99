"""The exporter reports what is queued in Redis, with or without workers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.redis_server import RedisServer, redis_server
from tests.support.service import ROOT, free_port
from tests.unit.jobs.store.support import new_job, transcript
from transcription.core.settings import Settings
from transcription.jobs.cluster.broker import FIRST, LATER, Broker, Message
from transcription.jobs.cluster.exporter import age_of
from transcription.jobs.store.redis.store import RedisStore


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as running:
        yield running


@pytest.fixture
def exporter(server: RedisServer) -> Iterator[str]:
    """The URL of the metrics of a running exporter."""
    port = free_port()
    environment = {"JOB_BACKEND": "celery", "REDIS_URL": server.url, "METRICS_PORT": str(port), "HOST": "127.0.0.1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "transcription.jobs.cluster.exporter"], cwd=ROOT, env={**os.environ, **environment}
    )
    url = f"http://127.0.0.1:{port}/metrics"
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(url)
            break
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
    yield url
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def metrics_of(url: str) -> dict[str, float]:
    lines = [line for line in httpx.get(url, timeout=30).text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def fill(url: str) -> None:
    """Three jobs, one of them completed, and messages for two."""
    store, broker = RedisStore(url, result_ttl=1000), Broker(Settings(job_backend="celery", redis_url=url))
    for job_id in "abc":
        await store.submit(new_job(job_id))
    lease = await store.claim("me", "a")
    assert lease
    await store.complete(lease, transcript())
    await broker.send([Message("b", LATER), Message("c", LATER)])
    await asyncio.sleep(1)
    await broker.close()
    await store.close()


def test_messages_and_jobs_are_counted_with_the_age_of_the_oldest(server: RedisServer, exporter: str) -> None:
    asyncio.run(fill(server.url))
    values = metrics_of(exporter)
    queue = 'queue="transcription"'
    assert values["transcription_redis_up"] == 1
    assert values[f'transcription_queue_depth{{priority="{LATER}",{queue}}}'] == 2
    assert values[f'transcription_queue_depth{{priority="{FIRST}",{queue}}}'] == 0
    assert 1 <= values[f'transcription_queue_oldest_seconds{{priority="{LATER}",{queue}}}'] < 60
    assert values[f"transcription_queue_unacknowledged{{{queue}}}"] == 0
    assert values['transcription_stored_jobs{status="queued"}'] == 2
    assert values['transcription_stored_jobs{status="completed"}'] == 1
    assert 1 <= values["transcription_oldest_queued_job_seconds"] < 60


def test_an_unreachable_redis_is_reported_and_the_exporter_keeps_running(server: RedisServer, exporter: str) -> None:
    server.kill()
    assert metrics_of(exporter) == {"transcription_redis_up": 0}
    server.start()
    assert metrics_of(exporter)["transcription_redis_up"] == 1


@pytest.mark.parametrize(
    "message",
    [b"", b"\xff", b"[]", b"{}", b'{"headers": null}', b'{"headers": {"sent_at": "soon"}}', b"[" * 100_000],
)
def test_a_message_that_cannot_be_read_does_not_end_the_report(message: bytes) -> None:
    assert age_of(message, now=10.0) == 0.0
    assert age_of(b'{"headers": {"sent_at": 4.0}}', now=10.0) == 6.0
