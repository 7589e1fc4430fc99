"""The transcripts of completed jobs: read, corrected, with other names for their speakers, in all their versions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from transcription.core.errors import EditConflict, UnknownVersion, UnreadableJob, WrongJobState, as_error
from transcription.core.speakers import Speaker
from transcription.core.transcript import Transcript
from transcription.jobs.access import EVERY_JOB, Access
from transcription.jobs.job import Job, JobStatus, Version
from transcription.jobs.store.base import JobStore
from transcription.jobs.transcripts.corrections import EditedSegment, corrected
from transcription.pipeline.speakers import renamed

SAVES_AT_ONCE = 1  # comparing the words of hours is work in Python, which one core does


@dataclass(frozen=True, slots=True)
class Saved:
    """A present transcript. result: of its job, see `Job.result`. version: its number."""

    transcript: Transcript
    result: str
    version: int


class Transcripts:
    """Reads and changes the transcripts of completed jobs. One per process.

    Every method raises UnknownJob for a job that has been deleted, UnreadableJob if what is stored cannot be read, and
    WrongJobState unless the job is completed.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._saves = asyncio.Semaphore(SAVES_AT_ONCE)

    async def present(self, job: Job) -> Transcript:
        """The transcript, with words if the submission asked for them."""
        return _as_requested(await self.stored(job), job)

    async def former(self, job: Job, number: int) -> Transcript:
        """As `present`, of a version that is kept. Raises UnknownVersion."""
        return _as_requested(await self.stored(job, number), job)

    async def stored(self, job: Job, number: int | None = None) -> Transcript:
        """The transcript as it is stored, with all words that it has. number: None for the present one."""
        _check_completed(job)
        if number is not None:
            kept = [version.number for version in await self._store.versions(job.id)]
            if number not in kept[-1:]:
                found = await self._store.former_result(job.id, number)
                if found is None:
                    raise UnknownVersion(
                        f"The transcript has no version {number}. Those that are kept: {', '.join(map(str, kept))}."
                    )
                return found
        transcript = await self._store.result(job.id)
        if transcript is None:  # deleted since, or it cannot be read: the job has failed then
            return await self.stored(EVERY_JOB.check(await self._store.get(job.id), job.id))
        return transcript

    async def versions(self, job: Job) -> Sequence[Version]:
        """The versions that are kept, oldest first; the last is the present one."""
        _check_completed(job)
        return await self._store.versions(job.id)

    async def save(
        self,
        job_id: str,
        access: Access,
        read: Callable[[], Sequence[EditedSegment]],
        expected: Collection[str] | None = None,
    ) -> Saved:
        """Correct the transcript; the former one becomes a version. Without a change there is none.

        read: returns the segments; called in a thread when it is this one's turn. expected: as for `check_expected`.
        Raises EditConflict, InvalidParameter as `corrected`, and what `read` raises.
        """
        async with self._saves:
            edited = await asyncio.to_thread(read)
            return await self._change(job_id, access, lambda transcript: corrected(transcript, edited), expected)

    async def rename_speakers(self, job_id: str, access: Access, names: Mapping[str, str]) -> Sequence[Speaker]:
        """Give the speakers other names; the former transcript becomes a version. Returns its speakers then.

        names: the new name of each label. One that a speaker has already is not given again, so that a request may be
        repeated. Raises InvalidParameter as `renamed`.
        """

        def change(transcript: Transcript) -> Transcript:
            present = {speaker.label for speaker in transcript.speakers}
            left = {label: name for label, name in names.items() if label in present or name.strip() not in present}
            return renamed(transcript, left)

        return (await self._change(job_id, access, change)).transcript.speakers

    async def _change(
        self,
        job_id: str,
        access: Access,
        change: Callable[[Transcript], Transcript],
        expected: Collection[str] | None = None,
    ) -> Saved:
        while True:
            job = access.check(await self._store.get(job_id), job_id)
            check_expected(job, expected)
            before = await self.stored(job)
            number = (await self._store.versions(job_id))[-1].number
            after = await asyncio.to_thread(change, before)
            if after == before:
                return Saved(after, job.result, number)
            if result := await self._store.replace_result(job, after):
                return Saved(after, result, number + 1)
            # Another request has changed it at the same time: once more, from what it made of it.


def check_readable(job: Job) -> None:
    """Raise UnreadableJob for a job that failed because it, or its transcript, cannot be read."""
    if job.failure and job.failure.code == UnreadableJob.code:
        raise as_error(job.failure)


def check_expected(job: Job, expected: Collection[str] | None) -> None:
    """Raise EditConflict unless the completed job shows one of these results, see `Job.result`. expected: None for any.

    Raises UnreadableJob, WrongJobState.
    """
    _check_completed(job)
    if expected is not None and job.result not in expected:
        raise EditConflict(
            f"The transcript was changed since you read it. GET /jobs/{job.id}/transcript has the present one; send "
            "your changes to that, with its ETag as If-Match."
        )


def _check_completed(job: Job) -> None:
    check_readable(job)
    if job.status is not JobStatus.COMPLETED:
        raise WrongJobState(f"The job is {job.status.value} and has no result. GET /status/{job.id} says more.")


def _as_requested(transcript: Transcript, job: Job) -> Transcript:
    if job.layout and not job.layout.shows_words:  # they were timed for the layout
        return replace(transcript, word_timestamps=False)
    return transcript
