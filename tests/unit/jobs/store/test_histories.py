"""Random histories of two owners, crashes and clock jumps, compared with a simple model of the store."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.effort import examples
from tests.support.redis_server import RedisServer, redis_server
from tests.unit.jobs.store.support import BROKEN, LEASE, Calls, Clock, new_job, transcript, window
from transcription.jobs.job import UNFINISHED, Job, JobStatus
from transcription.jobs.policy import MAX_POSTPONEMENT
from transcription.jobs.store.base import JobStore, LeaseLost
from transcription.jobs.store.redis.store import RedisStore
from transcription.jobs.store.sqlite.store import SqliteStore

FOREVER = 1e10  # seconds
JOBS = 12  # in one history
SIDES = st.sampled_from(["left", "right"])
WORKS = st.sampled_from("xyz")  # of one caller, as each has its own works
CALLERS = st.sampled_from(["ada", "bob", ""])
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
    """What the model knows of a job. owner, until: of the latest lease. result: its number, counted from 0."""

    number: int
    work: str
    caller: str
    status: JobStatus = JobStatus.QUEUED
    owner: str = ""
    until: float = 0.0
    not_before: float = 0.0
    attempt: int = 0
    failures: int = 0
    result: int | None = None


class Model:
    """The jobs as the store should have them. leases: all that were ever granted."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.known: dict[str, Known] = {}
        self.leases: list[Job] = []
        self._results: dict[int, str] = {}  # the work of each result
        self._results_made = 0
        self._served: dict[str, int] = {}  # callers by the turn in which they were last served
        self._turns = 0

    def next_for(self, owner: str) -> str | None:
        """The job that `owner` must get now: a lost one, or that of the caller whose turn it is."""
        running = Counter(known.caller for known in self.known.values() if known.status == JobStatus.PROCESSING)

        def place(known: Known) -> tuple[int, int, int, int]:
            if known.status == JobStatus.PROCESSING:
                return 0, 0, 0, known.number
            return 1, running[known.caller], self._served.get(known.caller, 0), known.number

        due = [job_id for job_id, known in self.known.items() if self._may_begin(known, owner)]
        return min(due, key=lambda job_id: place(self.known[job_id]), default=None)

    def begin(self, lease: Job, owner: str) -> None:
        """Begin an attempt: it is the turn of the job's caller."""
        known = self.known[lease.id]
        known.failures += known.status == JobStatus.PROCESSING
        known.attempt += 1
        known.status, known.owner, known.until = JobStatus.PROCESSING, owner, self.clock.now + LEASE
        self._turns += 1
        self._served[known.caller] = self._turns
        self.leases.append(lease)

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

    def valid_leases(self) -> list[Job]:
        """Leases that are still in force."""
        return [
            lease
            for lease in self.leases
            if self.known[lease.id].status == JobStatus.PROCESSING and self.known[lease.id].attempt == lease.attempt
        ]

    def unfinished(self) -> list[str]:
        return [job_id for job_id, known in self.known.items() if known.status in UNFINISHED]

    def retriable(self) -> list[str]:
        ended = (JobStatus.FAILED, JobStatus.COMPLETED)
        return [job_id for job_id, known in self.known.items() if known.status in ended]

    def shown(self, known: Known) -> JobStatus:
        follows = known.status == JobStatus.QUEUED and any(lease.work == known.work for lease in self.valid_leases())
        return JobStatus.PROCESSING if follows else known.status

    def latest_result(self, work: str) -> int | None:
        return max((result for result, of in self._results.items() if of == work), default=None)

    def complete(self, lease: Job) -> None:
        """Complete the job of the lease, and every queued job with the same work."""
        result, self._results_made = self._results_made, self._results_made + 1
        self._results[result] = lease.work
        for job_id, known in self.known.items():
            if known.work == lease.work and (job_id == lease.id or known.status == JobStatus.QUEUED):
                known.status, known.result = JobStatus.COMPLETED, result

    def retry(self, job_id: str) -> None:
        """Queue the job again. Its result is dropped unless another job has it, too."""
        known = self.known[job_id]
        result, known.result = known.result, None
        if result is not None and all(other.result != result for other in self.known.values()):
            del self._results[result]
        known.status, known.failures, known.not_before = JobStatus.QUEUED, 0, 0.0


class Histories(RuleBasedStateMachine):
    """Every rule does the same to the store and to the model."""

    def new_store(self) -> JobStore:
        """Open the store of this history, which uses `self.clock`."""
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.clock = Clock()
        self.names = {"left": "left 0", "right": "right 0"}  # changed by a restart
        self.stores = {side: Calls(self.new_store()) for side in self.names}
        self.model = Model(self.clock)
        for work in "xxy":
            self.submit("left", "ada", work)
        self.claim("left")

    # Events

    @precondition(lambda self: len(self.model.known) < JOBS)
    @rule(side=SIDES, caller=CALLERS, work=WORKS)
    def submit(self, side: str, caller: str, work: str) -> None:
        job_id, work = str(len(self.model.known)), f"{work} of {caller}"
        job, _ = self.stores[side].submit(new_job(job_id, work, caller=caller))
        known = self.model.known[job_id] = Known(job.number, work, caller)
        known.result = self.model.latest_result(work)
        if known.result is not None:
            known.status = JobStatus.COMPLETED

    @rule(side=SIDES)
    def claim(self, side: str) -> None:
        expected = self.model.next_for(self.names[side])
        lease = self.stores[side].claim(self.names[side])
        assert (lease and lease.id) == expected
        if lease is None:
            return
        self.model.begin(lease, self.names[side])
        known = self.model.known[lease.id]
        assert (lease.attempt, lease.failures) == (known.attempt, known.failures)

    @precondition(lambda self: self.model.valid_leases())
    @rule(side=SIDES)
    def crash(self, side: str) -> None:
        self.stores[side].close()
        self.stores[side] = Calls(self.new_store())
        self.names[side] = f"{side} {int(self.names[side].split()[1]) + 1}"

    @precondition(lambda self: self.model.unfinished())
    @rule(seconds=JUMPS)
    def move_the_clock(self, seconds: float) -> None:
        """Forwards or back, followed by claims: as rules of their own the two would meet too rarely."""
        self.clock.move(seconds)
        self.claim("left")
        self.claim("right")

    @precondition(lambda self: self.model.valid_leases())
    @rule(data=st.data())
    def advance(self, data: st.DataObject) -> None:
        lease, store = self._drawn(data, self.model.valid_leases())
        if data.draw(st.booleans(), "with a window"):
            store.checkpoint(lease, 0, window(0), 60.0)
            self.model.known[lease.id].failures = 0
        else:
            store.renew(lease)
        self.model.known[lease.id].until = self.clock.now + LEASE

    @precondition(lambda self: self.model.valid_leases())
    @rule(data=st.data(), how=st.sampled_from(["complete", "fail", "postpone", "release"]))
    def end(self, data: st.DataObject, how: str) -> None:
        lease, store = self._drawn(data, self.model.valid_leases())
        known = self.model.known[lease.id]
        if how == "complete":
            store.complete(lease, transcript())
            self.model.complete(lease)
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

    @precondition(lambda self: len(self.model.valid_leases()) < len(self.model.leases))
    @rule(data=st.data(), write=st.sampled_from(WRITES))
    def a_former_owner_writes(self, data: st.DataObject, write: Write) -> None:
        valid = self.model.valid_leases()
        lease, store = self._drawn(data, [lease for lease in self.model.leases if lease not in valid])
        before = store.list_jobs((), None, len(self.model.known))
        with pytest.raises(LeaseLost):
            write(store, lease)
        assert store.list_jobs((), None, len(self.model.known)) == before

    @precondition(lambda self: self.model.unfinished())
    @rule(data=st.data(), side=SIDES)
    def cancel(self, data: st.DataObject, side: str) -> None:
        job_id = data.draw(st.sampled_from(self.model.unfinished()))
        self.stores[side].cancel(job_id)
        self.model.known[job_id].status = JobStatus.CANCELLED

    @precondition(lambda self: self.model.retriable())
    @rule(data=st.data(), side=SIDES)
    def retry(self, data: st.DataObject, side: str) -> None:
        job_id = data.draw(st.sampled_from(self.model.retriable()))
        self.stores[side].retry(job_id)
        self.model.retry(job_id)

    # Invariants

    @invariant()
    def every_accepted_job_has_the_status_of_the_model(self) -> None:
        for store in self.stores.values():
            shown = {job.id: job.status for job in store.list_jobs((), None, len(self.model.known))}
            assert shown == {job_id: self.model.shown(known) for job_id, known in self.model.known.items()}

    @invariant()
    def no_work_is_done_twice_concurrently(self) -> None:
        works = [lease.work for lease in self.model.valid_leases()]
        assert len(works) == len(set(works))

    def teardown(self) -> None:
        """A single remaining owner completes every job."""
        try:
            while self.model.unfinished():
                self.clock.move(MAX_POSTPONEMENT)
                lease = self.stores["left"].claim("last")
                assert lease is not None
                self.stores["left"].complete(lease, transcript())
                for job_id, known in self.model.known.items():
                    known.status = self.stores["right"].get(job_id).status
            for job_id, known in self.model.known.items():
                assert (self.stores["right"].result(job_id) is not None) == (known.status == JobStatus.COMPLETED)
        finally:
            for store in self.stores.values():
                store.close()

    def _drawn(self, data: st.DataObject, leases: list[Job]) -> tuple[Job, Calls]:
        """One of the leases, and the store to use it on."""
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
    max_examples=examples(25, 300), stateful_step_count=30, deadline=None
)
