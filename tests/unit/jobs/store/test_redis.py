"""The Redis store does what every store does, and what many machines and a server that may be gone ask of it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from tests.support.redis_server import RedisServer, redis_server
from tests.unit.jobs.store.contract import (
    BROKEN,
    LEASE,
    RESULT_TTL,
    Calls,
    Clock,
    StoreContract,
    new_job,
    transcript,
    window,
)
from tests.unit.jobs.store.contract_ends import EndsContract
from transcription.core.errors import OutcomeUnknown, ServiceUnavailable
from transcription.jobs.job import DeliveryState, JobStatus
from transcription.jobs.store.redis.store import PREFIX, RedisStore

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def url(server: RedisServer) -> str:
    with redis.Redis(port=server.port) as client:
        client.flushall()
    return server.url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Calls]:
    opened = Calls(RedisStore(url, result_ttl=RESULT_TTL, clock=clock))
    yield opened
    opened.close()


class TestRedisStore(StoreContract, EndsContract):
    pass


def test_two_databases_of_one_server_are_apart(url: str) -> None:
    one, two = (Calls(RedisStore(f"{url[:-1]}{number}", result_ttl=RESULT_TTL)) for number in (0, 1))
    one.submit(new_job("a"))
    assert two.get("a") is None
    one.close()
    two.close()


def test_time_is_that_of_the_server(url: str) -> None:
    store = Calls(RedisStore(url, result_ttl=RESULT_TTL))
    assert abs(store.submit(new_job("a"))[0].created_at - time.time()) < 5
    store.close()


def test_a_submission_that_is_sent_again_is_one_job(store: Calls) -> None:
    first, is_new = store.submit(new_job("a", idempotency_key="key"))
    again, is_still_new = store.submit(new_job("a", idempotency_key="key"))
    assert (first, is_new) == (again, is_still_new) == (first, True)
    assert len(store.list_jobs((), None, 10)) == 1


def test_of_many_who_want_a_job_one_gets_it(url: str) -> None:
    async def scenario() -> list[bool]:
        stores = [RedisStore(url, result_ttl=RESULT_TTL) for _ in range(8)]
        await stores[0].submit(new_job("a"))
        claims = await asyncio.gather(*(store.claim(f"owner {n}", "a") for n, store in enumerate(stores)))
        await asyncio.gather(*(store.close() for store in stores))
        return [claim is not None for claim in claims]

    assert sum(asyncio.run(scenario())) == 1


def test_without_a_cache_nothing_that_is_done_answers_who_asks_the_same(url: str) -> None:
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


def test_what_is_ahead_is_estimated_where_nobody_could_add_it_up(store: Calls) -> None:
    for number in range(600):
        store.submit(new_job(f"{number}"))
        store.examined(f"{number}", 60.0)
    store.submit(new_job("last"))
    ahead = store.snapshot("last").ahead
    assert (ahead.jobs, ahead.unknown) == (600, 0)
    assert ahead.seconds == pytest.approx(600 * 60.0)


def test_a_job_that_is_forgotten_leaves_nothing_behind(store: Calls, server: RedisServer, clock: Clock) -> None:
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
    assert left == {"number", "results_made", "speeds"}


def test_a_failure_that_an_older_program_stored_by_its_class_name_is_read(store: Calls, server: RedisServer) -> None:
    store.submit(new_job("a"))
    store.refuse("a", BROKEN)
    with redis.Redis(port=server.port, decode_responses=True) as client:
        key = f"{PREFIX}:job:a"
        client.hset(key, "failure", client.hget(key, "failure").replace(BROKEN.code, "ModelUnavailable"))
        assert "ModelUnavailable" in client.hget(key, "failure")
    assert store.get("a").failure == BROKEN


# Messages


def unsent(store: Calls, *, idle: bool = False) -> list[str]:
    return [message.id for message in store.unsent(100, idle=idle)]


def test_a_job_is_announced_once_its_length_is_known(store: Calls) -> None:
    store.submit(new_job("a"))
    assert unsent(store) == []
    store.examined("a", 12.5)
    (message,) = store.unsent(100, idle=False)
    assert (message.id, message.attempt, message.seconds, message.waiting) == ("a", 0, 12.5, 0.0)


def test_a_job_of_unknown_length_is_announced_soon(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    clock.move(2)
    assert unsent(store) == ["a"]


def test_a_message_that_nobody_confirms_is_sent_again(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    assert unsent(store) == ["a"]
    assert unsent(store) == []
    clock.move(10)
    assert unsent(store) == ["a"]


def test_a_message_that_was_sent_counts_as_lost_after_ten_minutes(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    store.sent(store.unsent(100, idle=False))
    clock.move(599)
    assert unsent(store) == []
    clock.move(1)
    assert unsent(store) == ["a"]


def send_for(store: Calls, clock: Clock, seconds: int) -> int:
    """How many messages a dispatcher sends that looks once a minute."""
    sent = 0
    for _ in range(seconds // 60):
        clock.move(60)
        messages = store.unsent(100, idle=False)
        store.sent(messages)
        sent += len(messages)
    return sent


def test_a_job_that_waits_for_a_day_fills_the_broker_with_few_messages(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    assert send_for(store, clock, 24 * 3600) <= 16


def test_a_job_that_was_begun_and_given_back_is_announced_as_often_as_a_new_one(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    send_for(store, clock, 24 * 3600)
    store.release(store.claim("me", "a"))
    store.sent(store.unsent(100, idle=False))
    clock.move(600)
    assert unsent(store) == ["a"]


def test_a_message_that_was_sent_is_lost_when_the_broker_has_none(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    store.sent(store.unsent(100, idle=False))
    assert unsent(store, idle=True) == []  # somebody may have it in hand
    clock.move(11)
    assert unsent(store) == []
    assert unsent(store, idle=True) == ["a"]


def test_a_job_that_was_begun_is_announced_when_its_owner_is_gone(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    messages = store.unsent(100, idle=False)
    lease = store.claim("first", "a")
    store.sent(messages)  # late: the job has moved on
    clock.move(LEASE - 1)
    store.renew(lease)
    clock.move(LEASE - 1)
    assert unsent(store) == []
    clock.move(1)
    assert unsent(store) == ["a"]
    assert store.claim("second", "a").attempt == 2


def test_a_postponed_job_is_announced_when_its_pause_is_over(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.postpone(store.claim("me"), 30.0)
    clock.move(29)
    assert unsent(store) == []
    clock.move(1)
    assert unsent(store) == ["a"]


@pytest.mark.parametrize("end", ["cancel", "fail", "release"])
def test_who_waits_for_shared_work_is_announced_when_that_is_free(store: Calls, end: str) -> None:
    store.submit(new_job("a", "work"))
    store.submit(new_job("b", "work"))
    for job_id in "ab":
        store.examined(job_id, None)
    assert unsent(store) == ["a"]
    lease = store.claim("me", "a")
    {
        "cancel": lambda: store.cancel("a"),
        "fail": lambda: store.fail(lease, BROKEN),
        "release": lambda: store.release(lease),
    }[end]()
    assert unsent(store) == ["a" if end == "release" else "b"]


def test_an_ended_job_is_not_announced(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.cancel("a")
    clock.move(1e4)
    assert unsent(store, idle=True) == []


def test_a_clock_set_back_holds_no_message(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.sent(store.unsent(100, idle=False))
    clock.move(-1e6)
    assert unsent(store) == ["a"]


# Trouble


def test_what_was_answered_survives_a_server_that_is_killed(tmp_path: Path) -> None:
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


def test_a_server_that_never_answers_is_given_up_soon() -> None:
    async def scenario() -> float:
        silent = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1")
        store = RedisStore(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}/0", result_ttl=1)
        started = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            await store.get("a")
        return time.monotonic() - started

    assert asyncio.run(scenario()) < 15


def test_a_server_that_is_full_says_so_and_loses_nothing(store: Calls, server: RedisServer) -> None:
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


def test_a_server_that_is_full_is_emptied_by_time(store: Calls, server: RedisServer, clock: Clock) -> None:
    for name in ("first", "latest"):
        store.submit(new_job(name, "work"))
        if name == "first":
            clock.move(1)
            store.complete(store.claim("me"), transcript())
            clock.move(RESULT_TTL - 1)
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory", "1mb")
        try:
            store.expire()  # the result is in use by the latest job, and is only put off
            clock.move(RESULT_TTL)
            store.expire()
            assert store.list_jobs((), None, 10) == []
        finally:
            client.config_set("maxmemory", "0")


def test_settings_that_may_cost_jobs_are_named(store: Calls, server: RedisServer) -> None:
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


# A process that works on jobs until it is killed, and says what it has returned from.
CHILD = """
import sys
from transcription.jobs.store.redis.store import PREFIX, RedisStore
from tests.unit.jobs.store.contract import Calls, new_job, transcript, window

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


def test_what_a_killed_process_has_returned_from_is_there(url: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, url], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    said = [child.stdout.readline().split() for _ in range(60)]
    child.send_signal(signal.SIGKILL)
    child.wait()
    store = Calls(RedisStore(url, result_ttl=1e6))
    assert all(store.get(number) for _, number in said)
    assert all(store.result(number) == transcript() for word, number in said if word == "completed")
    store.close()


def test_windows_of_completed_work_stay_for_an_hour_and_those_of_unfinished_work_for_good(
    store: Calls, server: RedisServer
) -> None:
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
