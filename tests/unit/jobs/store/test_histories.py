"""Whatever two owners, their crashes and a wild clock do to a store: a simple model says what it must answer."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.redis_server import RedisServer, redis_server
from tests.unit.jobs.store.contract import BROKEN, LEASE, Calls, Clock, new_job, transcript, window
from transcription.jobs.job import UNFINISHED, Job, JobStatus
from transcription.jobs.policy import MAX_POSTPONEMENT
from transcription.jobs.store.base import JobStore, LeaseLost
from transcription.jobs.store.redis.store import RedisStore
from transcription.jobs.store.sqlite.store import SqliteStore

FOREVER = 1e12  # seconds
JOBS = 12  # in one history
SIDES = st.sampled_from(["left", "right"])
WORKS = st.sampled_from("xyz")
JUMPS = st.sampled_from([1.0, LEASE - 1, LEASE, 700.0, 1e5, -1.0, -LEASE, -1e5])
PAUSES = st.sampled_from([0.0, 5.0, 60.0])

Write = Callable[[Calls, Job], None]
WRITES: list[Write] = [
    lambda store, lease: store.renew(lease),
    lambda store, lease: store.checkpoint(lease, 0, window(0), 60.0),
    lambda store, lease: store.complete(lease, transcript()),
    lambda store, lease: store.fail(lease, BROKEN),
    lambda store, lease: store.postpone(lease, 1.0),
    lambda store, lease: store.release(lease),
]


@dataclass
class Known:
    """What the model knows of a job. owner, until: of the latest lease. result: of its work, counted from 0."""

    number: int
    work: str
    status: JobStatus = JobStatus.QUEUED
    owner: str = ""
    until: float = 0.0
    not_before: float = 0.0
    attempt: int = 0
    failures: int = 0
    result: int | None = None


class Histories(RuleBasedStateMachine):
    """Every rule does one thing to the store and the same to the model."""

    def new_store(self) -> JobStore:
        """Opens what is kept for this history, by `self.clock`."""
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.clock = Clock()
        self.names = {"left": "left 0", "right": "right 0"}  # a process that starts again has another name
        self.stores = {side: self._open() for side in self.names}
        self.known: dict[str, Known] = {}
        self.leases: list[Job] = []  # every one that was ever given
        self.results: dict[int, str] = {}  # work by result
        self.results_made = 0
        for work in "xxy":
            self.submit("left", work)
        self.claim("left")

    def _open(self) -> Calls:
        return Calls(self.new_store())

    # What happens

    @precondition(lambda self: len(self.known) < JOBS)
    @rule(side=SIDES, work=WORKS)
    def submit(self, side: str, work: str) -> None:
        job_id = str(len(self.known))
        job, _ = self.stores[side].submit(new_job(job_id, work))
        known = self.known[job_id] = Known(job.number, work)
        known.result = max((result for result, of in self.results.items() if of == work), default=None)
        if known.result is not None:
            known.status = JobStatus.COMPLETED

    @rule(side=SIDES)
    def claim(self, side: str) -> None:
        expected = self._next(self.names[side])
        lease = self.stores[side].claim(self.names[side])
        assert (lease and lease.id) == expected
        if lease is None:
            return
        known = self.known[lease.id]
        known.failures += known.status == JobStatus.PROCESSING
        known.attempt += 1
        assert (lease.attempt, lease.failures) == (known.attempt, known.failures)
        known.status, known.owner, known.until = JobStatus.PROCESSING, self.names[side], self.clock.now + LEASE
        self.leases.append(lease)

    @precondition(lambda self: self._valid())
    @rule(side=SIDES)
    def crash(self, side: str) -> None:
        self.stores[side].close()
        self.stores[side] = self._open()
        self.names[side] = f"{side} {int(self.names[side].split()[1]) + 1}"

    @precondition(lambda self: self._unfinished())
    @rule(seconds=JUMPS)
    def move_the_clock(self, seconds: float) -> None:
        """Forwards or back, and see who gets what then: alone, the two rules meet too rarely."""
        self.clock.move(seconds)
        self.claim("left")
        self.claim("right")

    @precondition(lambda self: self._valid())
    @rule(data=st.data())
    def advance(self, data: st.DataObject) -> None:
        lease, store = self._drawn(data, self._valid())
        if data.draw(st.booleans(), "with a window"):
            store.checkpoint(lease, 0, window(0), 60.0)
            self.known[lease.id].failures = 0
        else:
            store.renew(lease)
        self.known[lease.id].until = self.clock.now + LEASE

    @precondition(lambda self: self._valid())
    @rule(data=st.data(), how=st.sampled_from(["complete", "fail", "postpone", "release"]))
    def end(self, data: st.DataObject, how: str) -> None:
        lease, store = self._drawn(data, self._valid())
        known = self.known[lease.id]
        if how == "complete":
            self._complete(store, lease)
        elif how == "fail":
            store.fail(lease, BROKEN)
            known.status = JobStatus.FAILED
        elif how == "postpone":
            pause = data.draw(PAUSES, "pause")
            store.postpone(lease, pause)
            known.status, known.not_before = JobStatus.QUEUED, self.clock.now + pause
            known.failures += 1
        else:
            store.release(lease)
            known.status, known.not_before = JobStatus.QUEUED, 0.0

    def _complete(self, store: Calls, lease: Job) -> None:
        store.complete(lease, transcript())
        result, self.results_made = self.results_made, self.results_made + 1
        self.results[result] = lease.work
        for job_id, known in self.known.items():
            if known.work == lease.work and (job_id == lease.id or known.status == JobStatus.QUEUED):
                known.status, known.result = JobStatus.COMPLETED, result

    @precondition(lambda self: len(self._valid()) < len(self.leases))
    @rule(data=st.data(), write=st.sampled_from(WRITES))
    def a_former_owner_writes(self, data: st.DataObject, write: Write) -> None:
        valid = self._valid()
        lease, store = self._drawn(data, [lease for lease in self.leases if lease not in valid])
        before = store.list_jobs((), None, len(self.known))
        with pytest.raises(LeaseLost):
            write(store, lease)
        assert store.list_jobs((), None, len(self.known)) == before

    @precondition(lambda self: self._unfinished())
    @rule(data=st.data(), side=SIDES)
    def cancel(self, data: st.DataObject, side: str) -> None:
        job_id = data.draw(st.sampled_from(self._unfinished()))
        self.stores[side].cancel(job_id)
        self.known[job_id].status = JobStatus.CANCELLED

    @precondition(lambda self: self._retriable())
    @rule(data=st.data(), side=SIDES)
    def retry(self, data: st.DataObject, side: str) -> None:
        job_id = data.draw(st.sampled_from(self._retriable()))
        self.stores[side].retry(job_id)
        known = self.known[job_id]
        result, known.result = known.result, None
        if result is not None and all(other.result != result for other in self.known.values()):
            del self.results[result]
        known.status, known.failures, known.not_before = JobStatus.QUEUED, 0, 0.0

    # What holds

    @invariant()
    def every_accepted_job_stands_where_the_model_says(self) -> None:
        for store in self.stores.values():
            shown = {job.id: job.status for job in store.list_jobs((), None, len(self.known))}
            assert shown == {job_id: self._shown(known) for job_id, known in self.known.items()}

    @invariant()
    def no_work_is_done_twice_at_once(self) -> None:
        works = [lease.work for lease in self._valid()]
        assert len(works) == len(set(works))

    def teardown(self) -> None:
        """Somebody who is left alone finishes everything."""
        try:
            while self._unfinished():
                self.clock.move(MAX_POSTPONEMENT)
                lease = self.stores["left"].claim("last")
                assert lease is not None
                self.stores["left"].complete(lease, transcript())
                for job_id, known in self.known.items():
                    known.status = self.stores["right"].get(job_id).status
            for job_id, known in self.known.items():
                assert (self.stores["right"].result(job_id) is not None) == (known.status == JobStatus.COMPLETED)
        finally:
            for store in self.stores.values():
                store.close()

    # The model

    def _next(self, owner: str) -> str | None:
        """Which job `owner` must be given now."""
        due = [(known.number, job_id) for job_id, known in self.known.items() if self._may_begin(known, owner)]
        return min(due)[1] if due else None

    def _may_begin(self, known: Known, owner: str) -> bool:
        now = self.clock.now
        if known.status == JobStatus.PROCESSING:
            return known.owner != owner and not now < known.until <= now + LEASE
        if known.status != JobStatus.QUEUED or now < known.not_before <= now + MAX_POSTPONEMENT:
            return False
        same = [other for other in self.known.values() if other.work == known.work and other is not known]
        return not any(
            other.status == JobStatus.PROCESSING or (other.status == JobStatus.QUEUED and other.number < known.number)
            for other in same
        )

    def _valid(self) -> list[Job]:
        """Leases that count."""
        return [
            lease
            for lease in self.leases
            if self.known[lease.id].status == JobStatus.PROCESSING and self.known[lease.id].attempt == lease.attempt
        ]

    def _unfinished(self) -> list[str]:
        return [job_id for job_id, known in self.known.items() if known.status in UNFINISHED]

    def _retriable(self) -> list[str]:
        ended = (JobStatus.FAILED, JobStatus.COMPLETED)
        return [job_id for job_id, known in self.known.items() if known.status in ended]

    def _shown(self, known: Known) -> JobStatus:
        follows = known.status == JobStatus.QUEUED and any(lease.work == known.work for lease in self._valid())
        return JobStatus.PROCESSING if follows else known.status

    def _drawn(self, data: st.DataObject, leases: list[Job]) -> tuple[Job, Calls]:
        """One of the leases, and one of the stores to use it in."""
        return data.draw(st.sampled_from(leases)), self.stores[data.draw(SIDES)]


class SqliteHistories(Histories):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())

    def new_store(self) -> JobStore:
        return SqliteStore(self.folder, result_ttl=FOREVER, clock=self.clock)

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


class RedisHistories(Histories):
    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        with redis.Redis(port=self.server.port) as client:
            client.flushall()

    def new_store(self) -> JobStore:
        return RedisStore(self.server.url, result_ttl=FOREVER, clock=self.clock)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with redis_server(tmp_path_factory.mktemp("redis")) as RedisHistories.server:
        yield


TestSqliteHistories = SqliteHistories.TestCase
TestRedisHistories = pytest.mark.usefixtures("server")(RedisHistories.TestCase)
TestSqliteHistories.settings = TestRedisHistories.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)
