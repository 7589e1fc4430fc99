"""Jobs and messages behind real Sentinels: they survive the loss of the primary, and no accepted job is lost."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
import redis
from limits import RateLimitItemPerMinute

from tests.support.network import machines
from tests.support.sentinels import Guarded, guarded_redis
from tests.support.waiting import wait_until
from tests.unit.jobs.store.support import RESULT_TTL, Calls, new_job, transcript
from transcription.api.middleware.rate_limits import RateLimits
from transcription.core.errors import Failure, ServiceUnavailable
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


def test_without_a_replica_jobs_are_accepted_unless_redis_has_orders_not_to_write(guarded: Guarded) -> None:
    store = Calls(RedisStore(guarded.url, result_ttl=RESULT_TTL))
    replica = guarded.servers[1 - guarded.primary]
    with redis.Redis(*guarded.addresses[guarded.primary]) as primary:
        replica.kill()
        assert submitted(store, "alone")
        lease = store.claim("worker")
        primary.config_set("min-replicas-to-write", 1)
        assert not submitted(store, "not confirmed")
        with pytest.raises(ServiceUnavailable):
            store.complete(lease, transcript("a"))
        with pytest.raises(ServiceUnavailable):
            store.fail(lease, Failure("undecodable_media", "It cannot be decoded."))
        assert not store.get("alone").finished  # no client was told of an end that a failover takes back
        with pytest.raises(ServiceUnavailable):
            store.cancel("alone")
        replica.start()
        assert wait_until(lambda: submitted(store, "confirmed"))
        primary.config_set("min-replicas-to-write", 0)
    store.close()


def test_clients_leave_a_primary_that_is_cut_off_from_the_sentinels_and_no_accepted_job_is_lost(tmp_path: Path) -> None:
    orders = ("--min-replicas-to-write", "1")
    with machines(4) as far, guarded_redis(tmp_path, *orders, replicas=2, machines=far) as guarded:
        store, other = (Calls(RedisStore(guarded.url, result_ttl=RESULT_TTL)) for _ in range(2))
        assert submitted(store, "before") and other.get("before")
        accepted, numbers = ["before"], itertools.count()

        def accepted_by_another_primary() -> bool:
            elected, job_id = guarded.primary != 0, f"job-{next(numbers)}"
            if submitted(store, job_id):
                accepted.append(job_id)
            return elected and accepted[-1] == job_id

        for machine in far[1:]:
            far[0].cut_from(machine)
        assert wait_until(accepted_by_another_primary)
        assert other.get(accepted[-1])  # its connections lead to the former primary
        for machine in far[1:]:
            far[0].mend_with(machine)
        assert wait_until(guarded.is_complete)
        assert [job_id for job_id in accepted if not store.get(job_id)] == []
        store.close()
        other.close()


def test_jobs_messages_and_limits_survive_a_failover(guarded: Guarded, tmp_path: Path) -> None:
    store = Calls(RedisStore(guarded.url, result_ttl=RESULT_TTL))
    settings = Settings(_env_file=None, job_backend="celery", redis_url=guarded.url, jobs_dir=tmp_path)
    with asyncio.Runner() as runner:
        broker = Broker(settings)
        store.submit(new_job("before"))
        primary = guarded.primary
        with redis.Redis(*guarded.addresses[1 - primary]) as replica:  # it was confirmed before the answer
            assert replica.keys(f"{PREFIX}:job:before")
        assert sent(broker, runner, "before")
        assert wait_until(guarded.is_complete)

        guarded.servers[primary].kill()
        assert wait_until(lambda: submitted(store, "after"))
        assert {job.id for job in store.list_jobs((), None, 10)} >= {"before", "after"}
        assert wait_until(lambda: sent(broker, runner, "after"))
        assert not runner.run(broker.is_empty())
        limits = RateLimits(guarded.url)
        assert wait_until(lambda: runner.run(limits.count("uploads", "client", RateLimitItemPerMinute(5))) is not None)
        runner.run(broker.close())
    store.close()
