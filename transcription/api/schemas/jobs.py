"""Jobs as JSON, in submissions, status requests and lists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field
from starlette.requests import Request

from transcription.api.public_path import public_path
from transcription.api.schemas.transcript import TranscriptionResponse, TranscriptSpeaker, TranscriptWarning
from transcription.api.server_paths import without_paths
from transcription.core.errors import Failure
from transcription.jobs.access import EVERY_JOB, Access
from transcription.jobs.estimate import progress_of, seconds_left
from transcription.jobs.job import Delivery, DeliveryState, Job, JobSnapshot, JobStatus

JOB_ID = "7d2f2ef5-8c0f-4b5c-9d8e-3b8a8f0c1d52"
MESSAGES = {
    JobStatus.QUEUED: "Transcription job accepted",
    JobStatus.PROCESSING: "Transcription job accepted; it is being processed",
    JobStatus.COMPLETED: "Transcription job accepted; its result is available",
    JobStatus.FAILED: "Transcription job accepted earlier; it has failed",
    JobStatus.CANCELLED: "Transcription job accepted earlier; it was cancelled",
}


class JobAccepted(BaseModel):
    """The job was accepted. It will be processed even if the service restarts in the meantime."""

    job_id: str = Field(examples=[JOB_ID])
    status: JobStatus = Field(examples=["queued"])
    message: str = Field(examples=["Transcription job accepted"])
    status_url: str = Field(examples=[f"/status/{JOB_ID}"])


class Callback(BaseModel):
    """The delivery of the final status to `callback_url`."""

    url: str = Field(description="Without its query.", examples=["https://example.com/transcripts"])
    state: DeliveryState
    attempts: int = Field(examples=[1])
    next_attempt_at: str | None = Field(examples=[None])
    detail: str = Field(description="The outcome of the latest attempt.", examples=["204"])


class JobSummary(BaseModel):
    """The fields of every job. Times are in UTC, ISO 8601."""

    job_id: str = Field(examples=[JOB_ID])
    status: JobStatus
    progress: int = Field(ge=0, le=100, description="Processed share of the audio, in percent.", examples=[45])
    created_at: str = Field(examples=["2026-11-23T10:30:00Z"])
    attempts: int = Field(description="How often processing was started.", examples=[1])
    duration: float | None = Field(description="Duration of the audio, in seconds; null until the file was inspected.")
    callback: Callback | None = Field(description="Null without callback_url.")
    owner: str | None = Field(
        None,
        description="Only for admin keys: the name of the key that submitted the job; null if it had none.",
        examples=["mobile"],
    )


class UnfinishedJob(JobSummary):
    """A queued or processing job."""

    status: Literal[JobStatus.QUEUED, JobStatus.PROCESSING]
    estimated_completion: str | None = Field(
        description="Estimated from the measured speed and the queue; null while there is too little data.",
        examples=["2026-11-23T10:35:00Z"],
    )
    queue_position: int = Field(
        description="Place in the order in which jobs begin, in which callers take turns: 1 is next, 0 is being "
        "processed. It grows if jobs of other callers come before it.",
        examples=[0],
    )
    partial: str | None = Field(None, description="With partial=true: the text decoded so far.")


class CompletedJob(JobSummary):
    """A completed job."""

    status: Literal[JobStatus.COMPLETED]
    completed_at: str
    expires_at: str = Field(description="When the job and its result are deleted.")
    warnings: list[TranscriptWarning] = Field(
        default=[],
        description="About the file, such as truncated_media; absent if there is nothing to say, and without `result`.",
    )
    result: TranscriptionResponse | None = Field(None, description="Absent if `include` leaves it out.")


class EndedJob(JobSummary):
    """A failed or cancelled job."""

    status: Literal[JobStatus.FAILED, JobStatus.CANCELLED]
    error: str = Field(description="Stable, machine-readable code.", examples=["no_audio_stream"])
    detail: str = Field(description="What was wrong and what to do about it.")
    failed_at: str
    expires_at: str


class JobSpeakers(BaseModel):
    """The speakers of a job, in the order in which they first speak."""

    job_id: str = Field(examples=[JOB_ID])
    speakers: list[TranscriptSpeaker]


class JobList(BaseModel):
    """Jobs, newest first. next_cursor: the `cursor` of the next, older page; null on the last page."""

    jobs: list[JobSummary]
    next_cursor: str | None = Field(examples=["1041"])


def utc(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 with milliseconds, ending in Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def accepted(job: Job, request: Request) -> JobAccepted:
    """The answer to a submission. request: the one that is answered."""
    status_url = public_path(request, f"/status/{job.id}")
    return JobAccepted(job_id=job.id, status=job.status, message=MESSAGES[job.status], status_url=status_url)


def summary(job: Job, access: Access) -> JobSummary:
    """A job in a list."""
    return JobSummary(**_common(job, access))


def unfinished(
    snapshot: JobSnapshot, access: Access, concurrency: int, now: float, partial: str | None = None
) -> UnfinishedJob:
    """A queued or processing job. concurrency: number of jobs processed at once. now: seconds since the epoch."""
    left = seconds_left(snapshot, concurrency, now)
    return UnfinishedJob(
        **_common(snapshot.job, access),
        estimated_completion=None if left is None else utc(now + left),
        queue_position=snapshot.ahead.jobs + 1 if snapshot.job.status is JobStatus.QUEUED else 0,
        partial=partial,
    )


def ended(job: Job, access: Access = EVERY_JOB) -> EndedJob:
    """A failed or cancelled job."""
    failure = job.failure or Failure("cancelled", "The job was cancelled.")
    return EndedJob(
        **_common(job, access),
        error=failure.code,
        detail=f"{failure.message} {without_paths(failure.detail)}".strip(),
        failed_at=utc(job.finished_at or 0),
        expires_at=utc(job.expires_at or 0),
    )


def completed(job: Job, access: Access) -> dict[str, Any]:
    """A completed job in the shape of CompletedJob, without its result, which is rendered apart and shared."""
    return {
        **_common(job, access),
        "completed_at": utc(job.finished_at or 0),
        "expires_at": utc(job.expires_at or 0),
    }


def _common(job: Job, access: Access) -> dict[str, Any]:
    """The fields of every job. `owner` is not set, and so not shown, unless the client is an admin."""
    return {
        "job_id": job.id,
        "status": job.status,
        "progress": progress_of(job),
        "created_at": utc(job.created_at),
        "attempts": job.attempt,
        "duration": job.seconds_total,
        "callback": _callback(job.delivery).model_dump() if job.delivery else None,
        **({"owner": job.caller or None} if access.admin else {}),
    }


def _callback(delivery: Delivery) -> Callback:
    return Callback(
        url=shown_url(delivery.url),
        state=delivery.state,
        attempts=delivery.attempts,
        next_attempt_at=None if delivery.next_at is None else utc(delivery.next_at),
        detail=delivery.detail,
    )


def shown_url(url: str) -> str:
    """The URL without user, query and fragment, which often hold tokens."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
