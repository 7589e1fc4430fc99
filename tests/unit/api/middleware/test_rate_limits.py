"""The number of requests that a client may send per minute."""

import asyncio
import time

from limits import RateLimitItemPerMinute

from tests.support.redis_server import redis_server
from transcription.api.middleware.rate_limits import REDIS_SECONDS, RateLimits

PER_MINUTE = RateLimitItemPerMinute(3)
ROUNDS, STEPS = 5, 60  # of the event loop, more than a count takes


def test_only_requests_beyond_the_limit_are_refused():
    async def scenario():
        rates = RateLimits("")
        ours = [await rates.count("uploads", "a", PER_MINUTE) for _ in range(4)]
        return ours, await rates.count("uploads", "b", PER_MINUTE), await rates.count("reads", "a", PER_MINUTE)

    ours, other, reading = asyncio.run(scenario())
    assert [each.allowed for each in ours] == [True, True, True, False]
    assert [each.remaining for each in ours] == [2, 1, 0, 0]
    assert all(0 < each.reset <= 120 for each in ours)
    assert other.allowed
    assert reading.allowed


def test_limits_are_suspended_while_redis_is_unreachable():
    async def scenario():
        async with asyncio.timeout(5):
            return await RateLimits("redis://127.0.0.1:1/0").count("uploads", "a", PER_MINUTE)

    assert asyncio.run(scenario()) is None


def test_an_unresponsive_redis_delays_only_one_request():
    async def scenario():
        silent = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1")
        async with asyncio.timeout(5), silent:
            limits = RateLimits(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}/0")
            times = []
            for _ in range(20):
                started = time.perf_counter()
                assert await limits.count("uploads", "a", PER_MINUTE) is None
                times.append(time.perf_counter() - started)
            return times

    first, *others = asyncio.run(scenario())
    assert first >= REDIS_SECONDS * 0.9
    assert sum(others) < REDIS_SECONDS


def test_a_client_that_is_cancelled_while_it_is_counted_in_redis_is_cancelled(tmp_path):
    """A live session that ends, for example. Python 3.11 forgets it, see `kept_cancellations`."""

    async def scenario(url):
        limits = RateLimits(url)
        await limits.count("live", "a", PER_MINUTE)
        for _ in range(ROUNDS):
            for steps in range(STEPS):
                counting = asyncio.create_task(limits.count("live", "a", PER_MINUTE))
                for _ in range(steps):
                    await asyncio.sleep(0)
                if counting.cancel():
                    await asyncio.wait((counting,))
                    assert counting.cancelled(), steps

    with redis_server(tmp_path) as server:
        asyncio.run(scenario(server.url))
