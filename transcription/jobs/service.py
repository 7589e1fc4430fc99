"""The commands and queries on jobs that the HTTP routes call."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import Collection
from contextlib import ExitStack
from typing import Protocol

import structlog

from transcription.core.errors import (
    InsufficientStorage,
    OutcomeUnknown,
    ServiceUnavailable,
    WrongJobState,
)
from transcription.core.settings import Settings
from transcription.core.transcript import Segment
from transcription.jobs.access import EVERY_JOB, Access, unknown_job
from transcription.jobs.examiner import Examiner
from transcription.jobs.job import Job, JobSnapshot, JobStatus, NewJob, Recording
from transcription.jobs.recordings.base import RecordingStore, checked_name
from transcription.jobs.recordings.open import job_folders
from transcription.jobs.recordings.results import TRANSFER_SECONDS
from transcription.jobs.store.base import JobStore
from transcription.jobs.submission import Submission, fingerprint
from transcription.jobs.transcripts.transcripts import Transcripts, check_readable
from transcription.media.intake.upload import Upload, held
from transcription.pipeline.assemble import segments_of
from transcription.pipeline.request_key import request_key
from transcription.telemetry.logs import current_request_id

log = structlog.get_logger(__name__)


class JobDispatcher(Protocol):
    """Dispatches due jobs: runs them in this process, or sends them to workers elsewhere."""

    async def run(self) -> None:
        """Dispatch jobs until cancelled."""
        ...

    def wake(self) -> None:
        """Look for due jobs now."""
        ...

    def abandon(self, job_id: str) -> None:
        """Stop any work on this job."""
        ...


class JobService:
    """Commands and queries on jobs. One per process, on a store that several processes may share.

    A job that `access` does not allow is answered like one that does not exist: UnknownJob.
    stopping: set once the process accepts no more jobs. transcripts: those of completed jobs.
    """

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        recordings: RecordingStore,
        dispatcher: JobDispatcher,
        examiner: Examiner,
    ) -> None:
        self._settings = settings
        self._store = store
        self._recordings = recordings
        self._dispatcher = dispatcher
        self._examiner = examiner
        self._disks = job_folders(settings)
        self.transcripts = Transcripts(store)
        self.stopping = asyncio.Event()

    def check_space(self, size: int, stored_on: int | None = None) -> None:
        """Raise InsufficientStorage unless MIN_FREE_DISK stays free after another `size` bytes.

        stored_on: the number of the disk that has them already. Raises ServiceUnavailable if a folder is gone.
        """
        try:
            left = min(
                shutil.disk_usage(folder).free - (0 if folder.stat().st_dev == stored_on else size)
                for folder in self._disks
            )
        except OSError as error:
            raise ServiceUnavailable(
                "The folder for jobs cannot be used. Try again later; if the error persists, have the operator check "
                "JOBS_DIR and SPOOL_URL.",
                error.strerror or "",
            ) from error
        if left < self._settings.min_free_disk:
            raise InsufficientStorage(
                "There is no space left to store another job. Try again later, or tell the operator.",
                f"With the recording, {left} bytes would be free for jobs, fewer than MIN_FREE_DISK.",
                retry_after=60,
            )

    async def check_open(self, access: Access, idempotency_key: str | None) -> None:
        """Raise TooManyJobs if a submission of this client would be refused, before its recording is received.

        A repeated submission is not. `submit` checks again, because the client may submit several jobs meanwhile.
        """
        await self._store.check_open(access.caller, self._settings.max_open_jobs, idempotency_key)

    async def submit(self, upload: Upload, submission: Submission) -> Job:
        """Accept a job, which is durable when this returns. The uploaded file becomes the job's recording.

        Raises InsufficientStorage, IdempotencyConflict, TooManyJobs, ServiceUnavailable.
        """
        if self.stopping.is_set():
            raise ServiceUnavailable("The service is stopping. Try again in a moment.")
        self.check_space(upload.size, os.fstat(upload.opened.fileno()).st_dev)
        with ExitStack() as stack:
            # The recording may be stored on another machine: an open file keeps the file here to be examined.
            here = stack.enter_context(held(upload))
            job, created = await self._accept(upload, submission)
            if created:
                log.info("job_accepted", job_id=job.id, size=upload.size, status=job.status.value, caller=job.caller)
                self._dispatcher.wake()
                self._examiner.schedule(job, here, stack.pop_all())
        return job

    async def _accept(self, upload: Upload, submission: Submission) -> tuple[Job, bool]:
        """The job, and whether it is new."""
        job_id = str(uuid.uuid4())
        key = await asyncio.to_thread(request_key, upload, submission.request, self._settings, submission.caller)
        recording = await self._recordings.keep(upload, job_id)
        new = NewJob(
            id=job_id,
            work=job_id if submission.private else key,
            request=submission.request,
            recording=recording,
            response_format=submission.response_format,
            fingerprint=fingerprint(key, submission),
            idempotency_key=submission.idempotency_key,
            callback_url=submission.callback_url,
            request_id=current_request_id(),
            layout=submission.layout,
            caller=submission.caller,
        )
        try:
            job, created = await self._store.submit(new, self._settings.max_open_jobs)
        except (OutcomeUnknown, asyncio.CancelledError):
            raise  # the job may exist and need its recording; if it does not, the sweep deletes the file
        except BaseException:
            await self._recordings.remove(recording.name)
            raise
        if not created:
            await self._recordings.remove(recording.name)
        return job, created

    async def get(self, job_id: str, access: Access) -> Job:
        """The job. Raises UnknownJob."""
        return access.check(await self._store.get(job_id), job_id)

    async def list_jobs(
        self, access: Access, statuses: Collection[JobStatus], before: int | None, limit: int, caller: str | None = None
    ) -> list[Job]:
        """The newest `limit` jobs of the client, newest first.

        statuses: empty for all. before: only jobs with a smaller number. caller: only its jobs, for a client that may
        see those of all.
        """
        return await self._store.list_jobs(statuses, before, limit, caller if access.everything else access.caller)

    async def snapshot(self, job_id: str, access: Access) -> JobSnapshot:
        """The job and what its completion time depends on. Raises UnknownJob."""
        snapshot = await self._store.snapshot(job_id)
        if snapshot is None:
            raise unknown_job(job_id)
        access.check(snapshot.job, job_id)
        return snapshot

    async def partial_text(self, job: Job) -> str:
        """The text decoded so far. The final transcript may drop some of it as hallucinated."""
        placed = await self._store.checkpoints(job.work)
        return "".join(segment.text for item in placed for segment in segments_of(item, job.request)).strip()

    async def segments(self, job: Job, start: int) -> list[list[Segment]]:
        """The segments decoded so far, in file time, one list per window from position `start` on."""
        placed = await self._store.checkpoints(job.work, start)
        if not placed and start == 0 and job.status is JobStatus.COMPLETED:  # by the result of a synchronous request
            return [list((await self.transcripts.present(job)).segments)]
        return [segments_of(item, job.request) for item in placed]

    async def cancel(self, job_id: str, access: Access) -> Job:
        """Cancel an unfinished job, or delete a finished one with all its data. Raises UnknownJob."""
        before = await self.get(job_id, access)
        if before.finished:
            await self._store.delete(job_id)
            await self._remove(before.recording)
            return before
        job = EVERY_JOB.check(await self._store.cancel(job_id), job_id)
        self._dispatcher.abandon(job_id)
        self._dispatcher.wake()  # another job may have waited for the same run
        if job.status is JobStatus.CANCELLED:
            await self._remove(job.recording)
        return job

    async def _remove(self, recording: Recording) -> None:
        try:
            checked_name(recording.name)
        except ValueError:
            return  # of a job that cannot be read; the sweep deletes what no job refers to
        try:
            async with asyncio.timeout(TRANSFER_SECONDS):
                await self._recordings.remove(recording.name)
        except TimeoutError:  # so does it here
            log.warning("file_not_removed", name=recording.name, reason=f"It took longer than {TRANSFER_SECONDS:g} s.")

    async def retry(self, job_id: str, access: Access) -> Job:
        """Queue a failed or completed job again. Raises UnknownJob, WrongJobState, UnreadableJob, TooManyJobs."""
        before = await self.get(job_id, access)
        if not before.readable:
            check_readable(before)
        if before.status not in (JobStatus.FAILED, JobStatus.COMPLETED):
            raise WrongJobState(
                f"The job is {before.status.value}. Only a failed or completed job can be retried; submit the "
                "recording again."
            )
        job = EVERY_JOB.check(await self._store.retry(job_id, self._settings.max_open_jobs), job_id)
        self._dispatcher.wake()
        return job
