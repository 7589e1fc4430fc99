"""How much a caller may ask, without a server: counts, caps, and what is given back."""

import asyncio
import time

import pytest

from transcription.api.middleware.limits import REDIS_SECONDS, InFlight, RateLimits, is_upload
from transcription.core.errors import TooManyUploads


def post(path):
    return {"method": "POST", "path": path, "headers": []}


def test_requests_beyond_the_limit_are_refused_and_others_are_not():
    async def scenario():
        rates = RateLimits("")
        ours = [await rates.count("uploads", "a", 3) for _ in range(4)]
        return ours, await rates.count("uploads", "b", 3), await rates.count("reads", "a", 3)

    ours, other, reading = asyncio.run(scenario())
    assert [each.allowed for each in ours] == [True, True, True, False]
    assert [each.remaining for each in ours] == [2, 1, 0, 0]
    assert all(0 < each.reset <= 120 for each in ours)
    assert other.allowed
    assert reading.allowed


def test_without_its_redis_nobody_is_held_up():
    async def scenario():
        async with asyncio.timeout(5):
            return await RateLimits("redis://127.0.0.1:1/0").count("uploads", "a", 1)

    assert asyncio.run(scenario()) is None


def test_a_redis_that_does_not_answer_holds_up_one_request_and_not_all():
    async def scenario():
        silent = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1")
        async with asyncio.timeout(5), silent:
            limits = RateLimits(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}/0")
            times = []
            for _ in range(20):
                started = time.perf_counter()
                assert await limits.count("uploads", "a", 1) is None
                times.append(time.perf_counter() - started)
            return times

    first, *others = asyncio.run(scenario())
    assert first >= REDIS_SECONDS * 0.9
    assert sum(others) < REDIS_SECONDS


@pytest.mark.parametrize(
    "path",
    ["/transcribe", "/api/transcribe", "/api/transcribe_job/submit", "/jobs/7/retry", "/api/transcribe_job/retry"],
)
def test_what_brings_work_is_an_upload(path):
    assert is_upload(post(path))


def test_a_recording_by_url_is_an_upload():
    assert is_upload({"method": "GET", "path": "/transcribe", "headers": []})


def test_a_question_is_no_upload():
    assert not is_upload({"method": "GET", "path": "/jobs", "headers": []})
    assert not is_upload(post("/elsewhere"))


def test_a_caller_has_so_many_uploads_at_once():
    counts = InFlight(uploads=2, size=1000)
    with counts.upload("a", 0), counts.upload("a", 0):
        with pytest.raises(TooManyUploads, match="2 uploads"), counts.upload("a", 0):
            pass
        with counts.upload("b", 0):
            pass
    with counts.upload("a", 0):
        pass


def test_a_caller_has_so_many_bytes_at_once():
    counts = InFlight(uploads=9, size=1000)
    with counts.upload("a", 600):
        with pytest.raises(TooManyUploads, match="1000 bytes"), counts.upload("a", 500):
            pass
        with counts.upload("a", 400):
            pass


def test_bytes_that_were_not_declared_count_as_they_come():
    counts = InFlight(uploads=9, size=1000)
    with counts.upload("a", 0) as held:
        held.grow_to(900)
        held.grow_to(800)
        with pytest.raises(TooManyUploads):
            held.grow_to(1001)


def test_nothing_is_remembered_of_who_has_left_however_it_ended():
    counts = InFlight(uploads=1, size=1000)
    with pytest.raises(ZeroDivisionError), counts.upload("a", 500):
        raise ZeroDivisionError
    with pytest.raises(TooManyUploads), counts.upload("b", 2000):
        pass
    assert counts.callers == 0
    with counts.upload("a", 1000):
        pass
