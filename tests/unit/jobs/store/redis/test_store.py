"""The Redis store: the contract of every store, several machines, and a server that fails."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from tests.support.redis_server import RedisServer, redis_server
from tests.support.service import ROOT
from tests.unit.jobs.store.contract import StoreContract
from tests.unit.jobs.store.support import (
    BROKEN,
    RESULT_TTL,
    Calls,
    Clock,
    new_job,
    transcript,
    window,
)
from transcription.core.errors import NewerStore, OutcomeUnknown, ServiceUnavailable
from transcription.jobs.job import DeliveryState, JobStatus
from transcription.jobs.policy import LONG_WAIT_SECONDS
from transcription.jobs.store.redis.schema import MINIMUM_READER, SCHEMA_VERSION
from transcription.jobs.store.redis.steps import PREFIX
from transcription.jobs.store.redis.store import RedisStore


class TestRedisStore(StoreContract):
    pass


def test_a_job_that_a_version_without_turns_has_queued_is_claimed(store: Calls, server: RedisServer) -> None:
    store.submit(new_job("old"))
    with redis.Redis(port=server.port) as client:
        client.delete(f"{PREFIX}:waiting:other:", f"{PREFIX}:waiting_callers")
    store.submit(new_job("new", caller="ada"))
    assert {store.claim("me").id for _ in range(2)} == {"old", "new"}


def test_a_job_that_a_version_without_turns_has_ended_holds_up_no_other(store: Calls, server: RedisServer) -> None:
    store.submit(new_job("ended"))
    store.submit(new_job("next"))
    with redis.Redis(port=server.port) as client:  # as that version leaves it: still in the queue of its caller
        client.hset(f"{PREFIX}:job:ended", mapping={"status": "cancelled"})
        client.zrem(f"{PREFIX}:status:queued", "ended")
    assert store.claim("me").id == "next"


def test_two_databases_of_one_server_are_separate(url: str) -> None:
    one, two = (Calls(RedisStore(f"{url[:-1]}{number}", result_ttl=RESULT_TTL)) for number in (0, 1))
    one.submit(new_job("a"))
    assert two.get("a") is None
    one.close()
    two.close()


def test_the_clock_is_that_of_the_server(url: str) -> None:
    store = Calls(RedisStore(url, result_ttl=RESULT_TTL))
    assert abs(store.submit(new_job("a"))[0].created_at - time.time()) < 5
    store.close()


def test_a_repeated_submission_is_one_job(store: Calls) -> None:
    first, is_new = store.submit(new_job("a", idempotency_key="key"))
    again, is_still_new = store.submit(new_job("a", idempotency_key="key"))
    assert (first, is_new) == (again, is_still_new) == (first, True)
    assert len(store.list_jobs((), None, 10)) == 1


def test_only_one_of_several_concurrent_claims_gets_the_job(url: str) -> None:
    async def scenario() -> list[bool]:
        stores = [RedisStore(url, result_ttl=RESULT_TTL) for _ in range(8)]
        await stores[0].submit(new_job("a"))
        claims = await asyncio.gather(*(store.claim(f"owner {n}", "a") for n, store in enumerate(stores)))
        await asyncio.gather(*(store.close() for store in stores))
        return [claim is not None for claim in claims]

    assert sum(asyncio.run(scenario())) == 1


def test_without_a_cache_finished_work_does_not_answer_identical_requests(url: str) -> None:
    store = Calls(RedisStore(url, result_ttl=RESULT_TTL, caching=False))
    store.submit(new_job("a", "work"))
    lease = store.claim("me")
    store.checkpoint(lease, 0, window(0), 60.0)
    store.complete(lease, transcript())
    store.remember("work", transcript())
    assert store.cached("work") is None
    assert store.submit(new_job("b", "work"))[0].status == JobStatus.QUEUED
    assert store.checkpoints("work") == []
    store.close()


def test_the_seconds_ahead_are_estimated_for_a_long_queue(store: Calls) -> None:
    for number in range(600):
        store.submit(new_job(f"{number}"))
        store.examined(f"{number}", 60.0)
    store.submit(new_job("last"))
    ahead = store.snapshot("last").ahead
    assert (ahead.jobs, ahead.unknown) == (600, 0)
    assert ahead.seconds == pytest.approx(600 * 60.0)


def test_the_commands_of_a_poll_do_not_grow_with_the_queue(url: str, clock: Clock, keys: redis.Redis) -> None:
    """Redis does one thing at a time: a poll that read all jobs would hold up heartbeats."""
    store = RedisStore(url, result_ttl=RESULT_TTL, clock=clock)

    async def submit(numbers: range) -> None:
        for start in numbers[::50]:  # at once
            chosen = range(start, start + 50)
            await asyncio.gather(*(store.submit(new_job(f"{one}", caller=f"caller {one % 4}")) for one in chosen))
            await asyncio.gather(*(store.examined(f"{one}", 60.0) for one in chosen[:25]))
        clock.move(LONG_WAIT_SECONDS)  # all of them are served like short ones

    async def commands_of_a_poll(job_id: str) -> int:
        keys.config_resetstat()
        assert await store.snapshot(job_id)
        return sum(command["calls"] for command in keys.info("commandstats").values())

    async def compare() -> None:
        await submit(range(600))
        before = await commands_of_a_poll("599")
        await submit(range(600, 1800))
        assert before < 1500
        assert await commands_of_a_poll("1799") < before + 300
        await store.close()

    asyncio.run(compare())


def test_the_commands_of_a_poll_are_bounded_where_jobs_share_their_work(store: Calls, keys: redis.Redis) -> None:
    for number in range(501):
        store.submit(new_job(f"{number}", f"{number % 100}"))
    store.cancel("0")  # 500 are read
    keys.config_resetstat()
    assert store.snapshot("500").ahead.jobs == 99
    assert sum(command["calls"] for command in keys.info("commandstats").values()) < 5000


def test_an_expired_job_leaves_no_keys(store: Calls, server: RedisServer, clock: Clock) -> None:
    for job_id in ("a", "b"):
        store.submit(new_job(job_id, "work", idempotency_key=job_id, callback_url="https://example.org/"))
    lease = store.claim("me")
    store.checkpoint(lease, 0, window(0), 60.0)
    clock.move(1)
    store.complete(lease, transcript())
    for _ in "ab":
        delivery = store.claim_delivery(5.0)
        store.settle_delivery(delivery.id, replace(delivery.delivery, state=DeliveryState.DELIVERED, next_at=None))
    clock.move(RESULT_TTL)
    store.expire()
    with redis.Redis(port=server.port, decode_responses=True) as client:
        left = {name.partition(":")[2] for name in client.keys("*")}
    assert left == {"number", "results_made", "speeds", "schema", "turns", "turns_taken"}


def test_jobs_of_a_newer_version_are_rejected(store: Calls, keys: redis.Redis) -> None:
    store.submit(new_job("a"))
    newer = SCHEMA_VERSION + 7
    keys.hset(f"{PREFIX}:schema", mapping={"version": newer, "minimum_reader": newer})
    with pytest.raises(NewerStore, match=rf"version {newer}.*up to {SCHEMA_VERSION}. Run the newer program"):
        store.check_version()
    with pytest.raises(NewerStore):  # a process that ran before the newer one started
        store.claim("me")


def test_jobs_of_a_newer_version_that_says_so_can_be_used(store: Calls, keys: redis.Redis) -> None:
    newer = {b"version": b"%d" % (SCHEMA_VERSION + 7), b"minimum_reader": b"%d" % SCHEMA_VERSION}
    keys.hset(f"{PREFIX}:schema", mapping=newer)
    store.check_version()
    store.submit(new_job("a"))
    assert keys.hgetall(f"{PREFIX}:schema") == newer


def test_the_version_that_stores_jobs_is_stored_with_them(store: Calls, keys: redis.Redis) -> None:
    store.submit(new_job("a"))
    stored = keys.hgetall(f"{PREFIX}:schema")
    minimum = b"%d" % MINIMUM_READER
    assert stored == {b"version": b"%d" % SCHEMA_VERSION, b"minimum_reader": minimum, b"base_minimum_reader": minimum}


def test_a_version_is_not_checked_while_redis_is_down() -> None:
    store = Calls(RedisStore("redis://127.0.0.1:1/0", result_ttl=RESULT_TTL))
    store.check_version()
    store.close()


def test_a_failure_stored_by_its_class_name_in_an_older_version_is_read(store: Calls, server: RedisServer) -> None:
    store.submit(new_job("a"))
    store.refuse("a", BROKEN)
    with redis.Redis(port=server.port, decode_responses=True) as client:
        key = f"{PREFIX}:job:a"
        client.hset(key, "failure", client.hget(key, "failure").replace(BROKEN.code, "ModelUnavailable"))
        assert "ModelUnavailable" in client.hget(key, "failure")
    assert store.get("a").failure == BROKEN


def test_completed_steps_survive_a_killed_server(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        store = Calls(RedisStore(server.url, result_ttl=RESULT_TTL))
        for number in range(50):
            store.submit(new_job(f"{number}"))
        store.complete(store.claim("me"), transcript())
        server.kill()
        with pytest.raises(OutcomeUnknown, match="does not answer"):
            store.submit(new_job("during"))
        server.start()
        assert len(store.list_jobs((), None, 100)) == 50
        assert store.result("0") == transcript()
        assert store.submit(new_job("after"))[1]
        store.close()


def test_a_server_that_never_answers_times_out() -> None:
    async def scenario() -> float:
        silent = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1")
        store = RedisStore(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}/0", result_ttl=1)
        started = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            await store.get("a")
        return time.monotonic() - started

    assert asyncio.run(scenario()) < 15


def test_a_full_server_is_reported_and_loses_nothing(store: Calls, server: RedisServer) -> None:
    store.submit(new_job("before"))
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(ServiceUnavailable, match="tell the operator"):
                store.submit(new_job("during"))
            assert store.get("before") is not None
        finally:
            client.config_set("maxmemory", "0")
    assert store.submit(new_job("after"))[1]


def test_expiry_frees_a_full_server(store: Calls, server: RedisServer, clock: Clock) -> None:
    for name in ("first", "latest"):
        store.submit(new_job(name, "work"))
        if name == "first":
            clock.move(1)
            store.complete(store.claim("me"), transcript())
            clock.move(RESULT_TTL - 1)
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory", "1mb")
        try:
            store.expire()  # the result is in use by the latest job, so its expiry is postponed
            clock.move(RESULT_TTL)
            store.expire()
            assert store.list_jobs((), None, 10) == []
        finally:
            client.config_set("maxmemory", "0")


def test_settings_that_risk_jobs_are_reported(store: Calls, server: RedisServer) -> None:
    assert store.weaknesses() == []
    with redis.Redis(port=server.port) as client:
        client.config_set("appendonly", "no")
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert [weakness.split()[0] for weakness in store.weaknesses()] == ["appendonly", "maxmemory-policy"]
        finally:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("appendonly", "yes")


# A process that works on jobs until it is killed, and prints each step that has returned.
CHILD = """
import sys
from transcription.jobs.store.redis.store import RedisStore
from tests.unit.jobs.store.support import Calls, new_job, transcript, window

store = Calls(RedisStore(sys.argv[1], result_ttl=1e6))
for number in range(100_000):
    store.submit(new_job(f"{number}"))
    print("submitted", number, flush=True)
    lease = store.claim("child")
    for position in range(3):
        store.checkpoint(lease, position, window(position), 90.0)
    store.complete(lease, transcript())
    print("completed", number, flush=True)
"""


def test_completed_steps_survive_a_killed_process(url: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, url], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    printed = [child.stdout.readline().split() for _ in range(60)]
    child.send_signal(signal.SIGKILL)
    child.wait()
    store = Calls(RedisStore(url, result_ttl=1e6))
    assert all(store.get(number) for _, number in printed)
    assert all(store.result(number) == transcript() for word, number in printed if word == "completed")
    store.close()


def test_windows_expire_an_hour_after_completion_and_never_before(store: Calls, server: RedisServer) -> None:
    def seconds_left() -> int:
        with redis.Redis(port=server.port) as client:
            return int(client.ttl("{transcription}:windows:work"))

    store.submit(new_job("a", "work"))
    lease = store.claim("me")
    store.checkpoint(lease, 0, window(0), 60.0)
    assert seconds_left() == -1
    store.complete(lease, transcript())
    assert 3500 < seconds_left() <= 3600
    store.remember("other", transcript())
    store.retry("a")
    again = store.claim("me")
    store.checkpoint(again, 0, window(0), 60.0)
    assert seconds_left() == -1
