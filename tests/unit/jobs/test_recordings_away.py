"""Jobs whose recording store cannot be reached: a real store and folder, a scripted model."""

import asyncio

from tests.support.scripted_runner import ScriptedRunner
from tests.unit.jobs import test_worker
from tests.unit.jobs.test_worker import end_of
from transcription.core.errors import RecordingsUnavailable
from transcription.jobs import policy
from transcription.jobs import service as service_module
from transcription.jobs.access import EVERY_JOB
from transcription.jobs.examiner import Examiner
from transcription.jobs.job import JobStatus
from transcription.jobs.recordings.folder import FolderStore
from transcription.jobs.service import JobService
from transcription.jobs.store.sqlite.store import SqliteStore
from transcription.jobs.worker import Worker

# Fixtures that these tests share with those of the worker.
world, speech = test_worker.world, test_worker.speech


class Away(FolderStore):
    """A recording store that cannot be reached for the first `failures` attempts."""

    failures = 5

    def borrowed(self, recording):
        if self.failures:
            self.failures -= 1
            raise RecordingsUnavailable("away", retry_after=0.01)
        return super().borrowed(recording)


class NowhereToStore(SqliteStore):
    """A store that cannot put the first `failures` transcripts where recordings are."""

    failures = 5

    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        self.delays = []

    async def complete(self, lease, transcript):
        if self.failures:
            self.failures -= 1
            raise RecordingsUnavailable("away", retry_after=0.01)
        await super().complete(lease, transcript)

    async def postpone(self, lease, delay, *, counted=True):
        self.delays.append(delay)
        await super().postpone(lease, delay, counted=counted)


def test_a_job_waits_for_a_recording_store_that_is_away(world, speech, tmp_path):
    waiting = world(ScriptedRunner(), job_retries=0)
    waiting.recordings = Away(tmp_path / "jobs" / "spool", waiting.settings)
    job = end_of(waiting, speech)
    assert (job.status, job.attempt, job.failures) == (JobStatus.COMPLETED, Away.failures + 1, 0)


def test_a_transcript_that_cannot_be_stored_yet_does_not_fail_its_job(world, speech, tmp_path):
    """It is tried less and less often: each attempt decodes the recording again."""
    store = NowhereToStore(tmp_path / "jobs", result_ttl=1000)
    job = end_of(world(ScriptedRunner(), store, job_retries=0), speech)
    assert (job.status, job.attempt, job.failures) == (JobStatus.COMPLETED, NowhereToStore.failures + 1, 0)
    assert store.delays == [policy.retry_delay(number, 0.01) for number in range(NowhereToStore.failures)]
    assert store.delays == sorted(store.delays) and store.delays[-1] > store.delays[0]


def test_a_deletion_leaves_files_to_the_sweep_if_the_store_does_not_answer(world, speech, tmp_path, monkeypatch):
    class Standing(FolderStore):
        async def remove(self, name):
            await asyncio.Event().wait()

    monkeypatch.setattr(service_module, "TRANSFER_SECONDS", 0.01)
    deleting = world(ScriptedRunner())
    recordings = Standing(tmp_path / "jobs" / "spool", deleting.settings)
    worker = Worker(deleting.store, recordings, deleting.single_flight, deleting.runner, deleting.settings)
    examiner = Examiner(deleting.settings, deleting.store, worker.wake)
    service = JobService(deleting.settings, deleting.store, recordings, worker, examiner)

    async def cancel_and_delete():
        await deleting.submit(speech)
        assert (await service.cancel("job", EVERY_JOB)).status is JobStatus.CANCELLED
        await service.cancel("job", EVERY_JOB)
        assert await deleting.store.get("job") is None

    asyncio.run(cancel_and_delete())
