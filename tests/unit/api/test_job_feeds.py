"""All watchers of a job share one poller and its encoded events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.unit.jobs.store.support import REQUEST, said
from transcription.api import job_feeds
from transcription.api.job_feeds import JobFeeds
from transcription.core.errors import ServiceUnavailable, UnknownJob
from transcription.core.transcript import Segment
from transcription.jobs.access import EVERY_JOB, Access
from transcription.jobs.job import Job, JobStatus, Recording
from transcription.jobs.service import JobService

MANY = 1_000_000
JOB = Job("7", 1, "7", JobStatus.PROCESSING, REQUEST, Recording("7", "0", 1), "json", 0.0, attempt=1)
DONE = replace(JOB, status=JobStatus.COMPLETED, finished_at=9.0, expires_at=99.0)


class Jobs:
    """The jobs of a service. reads: how often a job was looked up."""

    def __init__(self) -> None:
        self.job = JOB
        self.windows: list[list[Segment]] = []
        self.reads = 0
        self.error: Exception | None = None
        self.stopping = asyncio.Event()

    async def get(self, _: str, access: Access) -> Job:
        assert access is EVERY_JOB
        self.reads += 1
        if self.error:
            raise self.error
        return self.job

    async def segments(self, _: Job, start: int) -> list[list[Segment]]:
        return self.windows[start:]


def run(scenario: Callable[[Jobs], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_feeds, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(job_feeds, "SECONDS_PER_JOB", 0.0)

    async def limited() -> None:
        async with asyncio.timeout(20):
            await scenario(Jobs())

    asyncio.run(limited())


def feeds_of(jobs: Jobs, most: int = MANY, memory: int = MANY) -> JobFeeds:
    return JobFeeds(cast(JobService, jobs), most, memory)


async def watch(feeds: JobFeeds, job: Job = JOB, place: tuple[int, int] = (0, 0)) -> list[str]:
    """The names and ids of all events until the stream ends."""
    with feeds.watch(job) as feed:
        text = b"".join([event async for event in feed.events(place, "")]).decode()
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if block]
    for block in blocks:
        json.loads(block.get("data", "null"))
    return [block.get("id") or block["event"] for block in blocks if "event" in block]


def test_all_watchers_of_a_job_see_everything_and_the_store_is_polled_as_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(jobs: Jobs) -> None:
        feeds = feeds_of(jobs)
        watching = [asyncio.create_task(watch(feeds)) for _ in range(200)]
        while jobs.reads < 3:
            await asyncio.sleep(0)
        before = jobs.reads
        jobs.windows = [[said(" a"), said(" b")], [], [said(" c")]]
        jobs.job = DONE
        streams = await asyncio.gather(*watching)
        assert all(stream == ["progress", "0.1", "0.2", "2.1", "completed"] for stream in streams)
        assert jobs.reads <= before + 2
        assert feeds.watchers == 0

    run(scenario, monkeypatch)


def test_a_watcher_that_comes_back_gets_what_follows_its_last_event(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(jobs: Jobs) -> None:
        jobs.job, jobs.windows = DONE, [[said(" a"), said(" b")], [said(" c")]]
        assert await watch(feeds_of(jobs), DONE, (0, 1)) == ["0.2", "1.1", "completed"]

    run(scenario, monkeypatch)


def test_the_events_of_a_finished_job_are_encoded_once_for_watchers_that_follow_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(jobs: Jobs) -> None:
        jobs.job, jobs.windows = DONE, [[said(" a")]]
        feeds = feeds_of(jobs)
        assert [await watch(feeds, DONE) for _ in range(5)] == [["0.1", "completed"]] * 5
        assert jobs.reads == 1

    run(scenario, monkeypatch)


def test_a_job_that_runs_again_has_new_events(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(jobs: Jobs) -> None:
        jobs.job, jobs.windows = DONE, [[said(" a")]]
        feeds = feeds_of(jobs)
        await watch(feeds, DONE)
        jobs.job = again = replace(DONE, attempt=2, finished_at=20.0)
        jobs.windows = [[said(" b")], [said(" c")]]
        assert await watch(feeds, again) == ["0.1", "1.1", "completed"]

    run(scenario, monkeypatch)


@pytest.mark.parametrize("stops", [True, False])
def test_the_streams_end_when_the_service_stops_or_the_job_is_deleted(
    monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    async def scenario(jobs: Jobs) -> None:
        watching = asyncio.create_task(watch(feeds_of(jobs)))
        while jobs.reads < 2:
            await asyncio.sleep(0)
        if stops:
            jobs.stopping.set()
        else:
            jobs.error = UnknownJob("gone")
        assert await watching == ["progress"]

    run(scenario, monkeypatch)


def test_a_store_that_does_not_answer_ends_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(jobs: Jobs) -> None:
        jobs.error = ServiceUnavailable("locked")
        watching = asyncio.create_task(watch(feeds_of(jobs)))
        while jobs.reads < 3:
            await asyncio.sleep(0)
        jobs.error, jobs.job = None, DONE
        assert await watching == ["completed"]

    run(scenario, monkeypatch)


def test_a_comment_is_sent_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_feeds, "PING_SECONDS", (0.01, 0.01))

    async def scenario(jobs: Jobs) -> None:
        with feeds_of(jobs).watch(JOB) as feed:
            stream = feed.events((0, 0), "")
            while await anext(stream) != b": ping\n\n":
                pass
            await stream.aclose()

    run(scenario, monkeypatch)


def test_more_streams_than_the_limit_are_refused_until_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(jobs: Jobs) -> None:
        feeds = feeds_of(jobs, most=2)
        with feeds.watch(JOB):
            with feeds.watch(JOB), pytest.raises(ServiceUnavailable) as refused, feeds.watch(JOB):
                pass
            assert refused.value.retry_after > 0
            with feeds.watch(JOB):
                assert feeds.watchers == 2

    run(scenario, monkeypatch)


def test_another_job_is_refused_while_the_events_of_watched_ones_take_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(jobs: Jobs) -> None:
        jobs.job, jobs.windows = DONE, [[said(" a long text")]]
        feeds = feeds_of(jobs, memory=10)
        with feeds.watch(DONE) as feed:
            async for _ in feed.events((0, 0), ""):
                pass
            with pytest.raises(ServiceUnavailable), feeds.watch(replace(DONE, id="8")):
                pass
            with feeds.watch(DONE):
                pass

    run(scenario, monkeypatch)


def test_polling_ends_a_while_after_the_last_watcher_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_feeds, "KEEP_SECONDS", 0.0)

    async def scenario(jobs: Jobs) -> None:
        with feeds_of(jobs).watch(JOB):
            while jobs.reads < 2:
                await asyncio.sleep(0)
        left: Any = None
        while left is None or len(left) > 1:  # this scenario remains
            await asyncio.sleep(0.001)
            left = asyncio.all_tasks()

    run(scenario, monkeypatch)
