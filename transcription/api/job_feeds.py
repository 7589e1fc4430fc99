"""The events of jobs for all their watchers: one poller for each watched job, which encodes each event once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import structlog
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from formats.json import TIME_DIGITS, word_to_dict
from transcription.api.schemas.jobs import ended
from transcription.core.errors import ServiceUnavailable, UnknownJob, UnreadableJob
from transcription.core.transcript import Segment
from transcription.jobs.access import EVERY_JOB
from transcription.jobs.estimate import progress_of
from transcription.jobs.job import Job, JobStatus
from transcription.jobs.service import JobService
from transcription.telemetry.metrics import STREAMS

POLL_SECONDS = 0.25  # other processes may run the job, and only the store is shared with them
# Between two polls of all jobs together: with more than 25 watched jobs, each is polled less often.
SECONDS_PER_JOB = 0.01
KEEP_SECONDS = 5.0  # without watchers; clients that reconnect find the events encoded
PING_SECONDS = (10.0, 15.0)  # without an event, by chance: not all watchers in the same moment
RECONNECT_MS = 2000
WOKEN_AT_ONCE = 25  # watchers; then other requests have their turn
RETRY_SECONDS = 15.0

HELLO = format_sse_event(comment="the job's events", retry=RECONNECT_MS)

RANDOM = random.SystemRandom()
log = structlog.get_logger(__name__)


class Feed:
    """The events of a job so far, encoded.

    windows: the events of each window's segments. closed: no more events will come. version: increases with every
    change.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.windows: list[list[bytes]] = []
        self.progress = b""
        self.closed = False
        self.version = 0
        self.size = 0  # bytes
        self.watchers = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def is_of(self, job: Job) -> bool:
        """Whether these are the events of the job in this state: a job that is run again has new ones."""
        return not self.closed or (self.job.attempt, self.job.finished_at) == (job.attempt, job.finished_at)

    def add(self, job: Job, windows: list[list[bytes]]) -> bool:
        """Add what is new. Returns whether anything is."""
        progress = format_sse_event(data_str=json.dumps(_progress(job)), event="progress")
        changed = bool(windows) or job.finished or progress != self.progress
        self.job = job
        self.windows += windows
        self.size += sum(len(event) for window in windows for event in window)
        self.progress = progress
        if job.finished:
            self.closed = True
        return changed

    async def wake(self) -> None:
        """Tell the watchers that something has changed, some at a time."""
        self.version += 1
        waiting, self._waiting = self._waiting, set()
        for number, waiter in enumerate(waiting, start=1):
            if not waiter.done():
                waiter.set_result(None)
            if number % WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def changed_since(self, version: int) -> bool:
        """Wait for a change. False if there was none for a while."""
        if version != self.version:
            return True
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(RANDOM.uniform(*PING_SECONDS)):
                await waiter
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(waiter)
        return True

    async def events(self, place: tuple[int, int], result_url: str) -> AsyncGenerator[bytes, None]:
        """The events from a place on.

        place: the position of a window, and how many of its segments were sent. result_url: for the last event.
        """
        position, seen = place
        progress = b""
        yield HELLO
        while True:
            version = self.version
            while position < len(self.windows):
                if events := self.windows[position][seen:]:
                    yield b"".join(events)
                position, seen = position + 1, 0
            if version != self.version:
                continue
            if self.closed:
                if self.job.finished:
                    yield _end(self.job, result_url)
                return
            if self.progress != progress:
                progress = self.progress
                yield progress
            if not await self.changed_since(version):
                yield KEEPALIVE_COMMENT


class JobFeeds:
    """The feeds of the jobs that are being watched.

    most: number of watchers at the same time. memory: bytes of all encoded events.
    """

    def __init__(self, jobs: JobService, most: int, memory: int) -> None:
        self._jobs = jobs
        self._most = most
        self._memory = memory
        self._feeds: dict[str, Feed] = {}
        self._pollers: dict[Feed, asyncio.Task[None]] = {}
        self.watchers = 0

    @contextlib.contextmanager
    def watch(self, job: Job) -> Iterator[Feed]:
        """The feed of a job, while the context lasts. Raises ServiceUnavailable."""
        if self.watchers >= self._most:
            raise ServiceUnavailable(
                f"{self.watchers} streams of events are open, the maximum. Poll GET /status/{job.id}?include=none, or "
                "try again later.",
                retry_after=RETRY_SECONDS,
            )
        feed = self._feed(job)
        feed.watchers += 1
        self.watchers += 1
        STREAMS.inc()
        try:
            yield feed
        finally:
            feed.watchers -= 1
            self.watchers -= 1
            STREAMS.dec()
            if not feed.watchers:
                asyncio.get_running_loop().call_later(KEEP_SECONDS, self._drop_if_unwatched, feed)

    def _feed(self, job: Job) -> Feed:
        feed = self._feeds.get(job.id)
        if feed is not None and feed.is_of(job):
            return feed
        if sum(each.size for each in self._pollers) > self._memory:
            raise ServiceUnavailable(
                "The events of the jobs that others watch take all the memory for them. Try again later.",
                retry_after=RETRY_SECONDS,
            )
        feed = self._feeds[job.id] = Feed(job)
        self._pollers[feed] = asyncio.create_task(self._poll(feed))
        return feed

    def _drop_if_unwatched(self, feed: Feed) -> None:
        if feed.watchers or feed not in self._pollers:
            return
        self._pollers.pop(feed).cancel()
        if self._feeds.get(feed.job.id) is feed:
            del self._feeds[feed.job.id]

    async def _poll(self, feed: Feed) -> None:
        try:
            while not feed.closed and not self._jobs.stopping.is_set():
                if await self._read(feed):
                    await feed.wake()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(POLL_SECONDS, SECONDS_PER_JOB * len(self._pollers))):
                        await self._jobs.stopping.wait()
        except UnknownJob:
            pass  # deleted; clients that reconnect are told so
        except Exception:
            log.exception("events_stopped", job_id=feed.job.id)
        finally:
            feed.closed = True
            await feed.wake()

    async def _read(self, feed: Feed) -> bool:
        """Read what is new. Returns whether anything is. Raises UnknownJob."""
        try:
            job = await self._jobs.get(feed.job.id, EVERY_JOB)  # before its segments: a finished job has all of them
            start = len(feed.windows)
            windows = await self._jobs.segments(job, start)
        except (ServiceUnavailable, UnreadableJob):  # a locked store, or a job that has failed since: poll again
            return False
        shows_words = job.layout.shows_words if job.layout else job.request.decode.word_timestamps
        return feed.add(job, await asyncio.to_thread(_encoded, windows, start, shows_words))


def _encoded(windows: list[list[Segment]], start: int, shows_words: bool) -> list[list[bytes]]:
    return [
        [_segment(segment, f"{position}.{number}", shows_words) for number, segment in enumerate(segments, start=1)]
        for position, segments in enumerate(windows, start=start)
    ]


def _segment(segment: Segment, event_id: str, shows_words: bool) -> bytes:
    data: dict[str, Any] = {
        "start": round(segment.start, TIME_DIGITS),
        "end": round(segment.end, TIME_DIGITS),
        "text": segment.text.strip(),
    }
    if segment.words and shows_words:
        data["words"] = [word_to_dict(word) for word in segment.words]
    return format_sse_event(data_str=_json(data), event="segment", id=event_id)


def _progress(job: Job) -> dict[str, Any]:
    return {
        "status": job.status.value,
        "progress": progress_of(job),
        "seconds_done": round(job.seconds_done, TIME_DIGITS),
        "seconds_total": job.seconds_total,
    }


def _end(job: Job, result_url: str) -> bytes:
    if job.status is JobStatus.COMPLETED:
        data = {**_progress(job), "result_url": result_url}
    else:
        ending = ended(job)
        data = {**_progress(job), "error": ending.error, "detail": ending.detail}
    return format_sse_event(data_str=_json(data), event=job.status.value)


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
