"""Jobs and messages behind real Sentinels: they survive the loss of the primary."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis
from limits import RateLimitItemPerMinute

from tests.support.sentinels import Guarded, guarded_redis
from tests.support.waiting import wait_until
from tests.unit.jobs.store.support import RESULT_TTL, Calls, new_job
from transcription.api.middleware.rate_limits import RateLimits
from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.cluster.broker import SOON, Broker, Message
from transcription.jobs.store.redis.steps import PREFIX
from transcription.jobs.store.redis.store import RedisStore


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory):
    with guarded_redis(tmp_path_factory.mktemp("sentinels")) as running:
        yield running


def sent(broker: Broker, runner: asyncio.Runner, job_id: str) -> bool:
    try:
        runner.run(broker.send([Message(job_id, SOON)]))
    except ServiceUnavailable:
        return False
    return True


def submitted(store: Calls, job_id: str) -> bool:
    try:
        store.submit(new_job(job_id))
    except ServiceUnavailable:
        return False
    return True


def test_jobs_messages_and_limits_survive_a_failover(guarded: Guarded, tmp_path: Path) -> None:
    store = Calls(RedisStore(guarded.url, result_ttl=RESULT_TTL))
    settings = Settings(_env_file=None, job_backend="celery", redis_url=guarded.url, jobs_dir=tmp_path)
    with asyncio.Runner() as runner:
        broker = Broker(settings)
        store.submit(new_job("before"))
        with redis.Redis(port=guarded.ports[1]) as replica:  # it was confirmed before the answer
            assert replica.keys(f"{PREFIX}:job:before")
        assert sent(broker, runner, "before")
        assert wait_until(guarded.is_complete)

        guarded.primary.kill()
        assert wait_until(lambda: submitted(store, "after"))
        assert {job.id for job in store.list_jobs((), None, 10)} >= {"before", "after"}
        assert wait_until(lambda: sent(broker, runner, "after"))
        assert not runner.run(broker.is_empty())
        limits = RateLimits(guarded.url)
        assert wait_until(lambda: runner.run(limits.count("uploads", "client", RateLimitItemPerMinute(5))) is not None)
        runner.run(broker.close())
    store.close()
