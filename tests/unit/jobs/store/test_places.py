"""The place of a job in the queue is the order in which jobs begin, in both stores."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from tests.support.redis_server import RedisServer, redis_server
from tests.unit.jobs.store.support import BROKEN, RESULT_TTL, Calls, Clock, new_job, transcript
from transcription.jobs.job import Job, JobStatus
from transcription.jobs.policy import LONG_WAIT_SECONDS, SHORT_SECONDS
from transcription.jobs.store.base import JobStore
from transcription.jobs.store.redis.store import RedisStore
from transcription.jobs.store.sqlite import places
from transcription.jobs.store.sqlite.database import DATABASE_NAME
from transcription.jobs.store.sqlite.places import ahead_of
from transcription.jobs.store.sqlite.store import SqliteStore

WORKER = "me"  # always the same: no lease is lost to another one
MOST = 1000  # jobs of an example, at the very most
COUNTED = 510  # more queued jobs than are read for a place

CALLERS = st.sampled_from(["ada", "bob", "eve", ""])
WORKS = st.sampled_from("uvwxyz")  # of one caller; jobs with the same one share it
SECONDS = st.sampled_from([None, SHORT_SECONDS, SHORT_SECONDS + 1])
SUBMISSION = st.tuples(CALLERS, WORKS, SECONDS)
# Turns begin anew with each urgency: jobs that have ended by then are told as if they had not.
OF_ONE_URGENCY = st.tuples(CALLERS, WORKS, st.none())
ENDS = st.sampled_from(["complete", "fail", "release"])
OTHERS = st.sampled_from(["begin", "retry", "wait"])
EVENTS = st.lists(st.one_of(SUBMISSION, SUBMISSION, SUBMISSION, ENDS, OTHERS), max_size=40)

Event = str | tuple[str, str, float | None]


class Queue:
    """A store and the leases of its only worker."""

    def __init__(self, store: Calls, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.leases: list[Job] = []
        self.submitted = 0

    def begin_next(self) -> Job | None:
        """Begin the job that is next, as the workers of this store do."""
        if isinstance(self.store.store, RedisStore):
            lease = self.store.claim_for_message(WORKER, "any")
        else:
            lease = self.store.claim(WORKER)
        if lease:
            self.leases.append(lease)
        return lease

    def happen(self, event: Event) -> None:
        if isinstance(event, tuple):
            caller, work, seconds = event
            self.submitted += 1
            job_id = str(self.submitted)
            self.store.submit(new_job(job_id, f"{work} of {caller}", caller=caller))
            self.store.examined(job_id, seconds)
        elif event == "begin":
            self.begin_next()
        elif event == "wait":
            self.clock.move(LONG_WAIT_SECONDS)
        elif event == "retry":
            for job in self.jobs(JobStatus.FAILED)[:1]:
                self.store.retry(job.id)
        elif self.leases:
            self.end(self.leases.pop(0), event)

    def end(self, lease: Job, how: str) -> None:
        if how == "complete":
            self.store.complete(lease, transcript())
        elif how == "fail":
            self.store.fail(lease, BROKEN)
        else:
            self.store.release(lease)

    def jobs(self, *statuses: JobStatus) -> list[Job]:
        jobs: list[Job] = self.store.list_jobs(statuses, None, MOST)
        return jobs

    def places(self) -> dict[str, int]:
        """The number of jobs that are said to begin before each queued job, by its work."""
        return self.places_of(self.jobs(JobStatus.QUEUED))

    def places_of(self, jobs: list[Job]) -> dict[str, int]:
        return {job.work: self.store.snapshot(job.id).ahead.jobs for job in jobs}


@contextmanager
def queue_in(open_store: Callable[[Path, Clock], JobStore]) -> Iterator[Queue]:
    clock = Clock()
    with TemporaryDirectory() as folder:
        store = Calls(open_store(Path(folder), clock))
        try:
            yield Queue(store, clock)
        finally:
            store.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


def check_places(queue: Queue, *, one_at_a_time: bool) -> None:
    """Begin all jobs, each completed before the next begins, or none: each one has the place that was told."""
    while one_at_a_time and queue.leases:
        queue.end(queue.leases.pop(), "complete")
    told = queue.places()
    begun = []
    while lease := queue.begin_next():
        begun.append(lease.work)
        if one_at_a_time:
            queue.end(lease, "complete")
    assert told == {work: place for place, work in enumerate(begun)}


@given(EVENTS, st.booleans())
def test_in_sqlite_jobs_begin_in_the_order_of_their_places(events: list[Event], one_at_a_time: bool) -> None:
    with queue_in(sqlite_store) as queue:
        for event in events:
            queue.happen(event)
        check_places(queue, one_at_a_time=one_at_a_time)


def test_in_redis_jobs_begin_in_the_order_of_their_places(server: RedisServer) -> None:
    def open_store(_: Path, clock: Clock) -> RedisStore:
        with redis.Redis(port=server.port) as client:
            client.flushall()
        return RedisStore(server.url, result_ttl=RESULT_TTL, caching=False, clock=clock)

    @given(EVENTS)
    def check(events: list[Event]) -> None:
        with queue_in(open_store) as queue:
            for event in events:
                queue.happen(event)
            check_places(queue, one_at_a_time=False)

    @given(st.lists(st.one_of(OF_ONE_URGENCY, st.just("complete"), st.just("begin")), max_size=40))
    def check_one_at_a_time(events: list[Event]) -> None:
        with queue_in(open_store) as queue:
            for event in events:
                queue.happen(event)
            check_places(queue, one_at_a_time=True)

    check()
    check_one_at_a_time()


def check_places_of_a_long_queue(queue: Queue) -> None:
    durations = (None, SHORT_SECONDS, SHORT_SECONDS + 1)
    for number in range(COUNTED):
        if number in (COUNTED // 4, COUNTED // 2):
            queue.clock.move(LONG_WAIT_SECONDS)
        caller = "ada" if number % 3 else ("bob", "eve")[number % 2]
        queue.happen((caller, str(number), durations[number % 5 % 3]))
        if number in (1, 7, 40):
            queue.begin_next()
    told = queue.places_of(queue.jobs(JobStatus.QUEUED)[::7])
    begun = []
    while lease := queue.begin_next():
        begun.append(lease.work)
    assert told == {work: place for place, work in enumerate(begun) if work in told}


def test_in_redis_places_are_as_true_in_a_queue_whose_jobs_are_counted(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as client:
        client.flushall()
    clock = Clock()
    queue = Queue(Calls(RedisStore(server.url, result_ttl=RESULT_TTL, caching=False, clock=clock)), clock)
    check_places_of_a_long_queue(queue)
    queue.store.close()


def sqlite_store(folder: Path, clock: Clock) -> SqliteStore:
    return SqliteStore(folder, result_ttl=RESULT_TTL, caching=False, clock=clock)


def test_in_sqlite_places_are_as_true_in_a_queue_whose_jobs_are_counted() -> None:
    with queue_in(sqlite_store) as queue:
        check_places_of_a_long_queue(queue)


def connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    return database


@given(EVENTS)
def test_in_sqlite_counting_and_reading_tell_the_same(events: list[Event]) -> None:
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        clock, folder = Clock(), Path(name)
        queue = Queue(Calls(sqlite_store(folder, clock)), clock)
        for number, event in enumerate(events):
            queue.happen((event[0], str(number), event[2]) if isinstance(event, tuple) else event)
        with closing(connected(folder / DATABASE_NAME)) as database:
            works = [job.work for job in queue.jobs(JobStatus.QUEUED)]
            read = [ahead_of(database, work) for work in works]
            patch.setattr(places, "EXACT", -1)
            assert [ahead_of(database, work) for work in works] == read
        queue.store.close()


def test_in_sqlite_a_poll_counts_a_long_queue_in_an_index(tmp_path: Path) -> None:
    """It walks an index: some instructions of SQLite's machine a job. Reading the jobs took hundreds."""
    queue = Queue(Calls(sqlite_store(tmp_path, Clock())), Clock())
    for number in range(COUNTED):
        queue.happen((f"caller {number % 5}", str(number), 60.0))
    queue.store.close()
    with closing(connected(tmp_path / DATABASE_NAME)) as database:
        columns = "request, recording, response_format, fingerprint, created_at, caller, status, seconds_total"
        database.execute(
            f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 40) INSERT INTO jobs (id, work, "
            f"{columns}) SELECT jobs.id || ' ' || i, work || ' ' || i, {columns} FROM jobs, n"
        )
        last = database.execute("SELECT work, COUNT(*) OVER () AS jobs FROM jobs ORDER BY number DESC").fetchone()
        instructions = count_instructions(database, lambda: ahead_of(database, last["work"]))
        ahead = ahead_of(database, last["work"])
    assert instructions < 40 * last["jobs"]
    assert ahead.jobs == last["jobs"] - 1
    assert ahead.seconds == pytest.approx(60.0 * ahead.jobs)
    assert ahead.unknown == 0


def count_instructions(database: sqlite3.Connection, call: Callable[[], object]) -> int:
    """Instructions of SQLite's machine, in hundreds."""
    ticks = [0]

    def tick() -> None:
        ticks[0] += 1

    database.set_progress_handler(tick, 100)
    call()
    database.set_progress_handler(None, 0)
    return 100 * ticks[0]
