"""Jobs on the wire: the shapes of section 3.1.2, and what else is known of a job."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from formats import json as json_format
from transcription.api.schemas import TranscriptionResponse
from transcription.core.errors import Failure
from transcription.core.transcript import Transcript
from transcription.jobs.estimate import progress_of, seconds_left
from transcription.jobs.job import Delivery, DeliveryState, Job, JobSnapshot, JobStatus

JOB_ID = "7d2f2ef5-8c0f-4b5c-9d8e-3b8a8f0c1d52"
MESSAGES = {
    JobStatus.QUEUED: "Transcription job accepted",
    JobStatus.PROCESSING: "Transcription job accepted; it is being worked on",
    JobStatus.COMPLETED: "Transcription job accepted; its result is there already",
    JobStatus.FAILED: "Transcription job accepted before; it has failed",
    JobStatus.CANCELLED: "Transcription job accepted before; it was cancelled",
}


class JobAccepted(BaseModel):
    """The job will be done, whatever happens to the service meanwhile."""

    job_id: str = Field(examples=[JOB_ID])
    status: JobStatus = Field(examples=["queued"])
    message: str = Field(examples=["Transcription job accepted"])
    status_url: str = Field(examples=[f"/status/{JOB_ID}"])


class Callback(BaseModel):
    """Whether `callback_url` was told how the job ended."""

    url: str = Field(examples=["https://example.com/transcripts"])
    state: DeliveryState
    attempts: int = Field(examples=[1])
    next_attempt_at: str | None = Field(examples=[None])
    detail: str = Field(description="What came of the latest attempt.", examples=["204"])


class JobSummary(BaseModel):
    """What is known of every job. Times are UTC, ISO 8601."""

    job_id: str = Field(examples=[JOB_ID])
    status: JobStatus
    progress: int = Field(ge=0, le=100, description="Percent of the audio.", examples=[45])
    created_at: str = Field(examples=["2026-11-23T10:30:00Z"])
    attempts: int = Field(description="How often work on it was begun.", examples=[1])
    duration: float | None = Field(description="Seconds of audio; null until the file was looked into.")
    callback: Callback | None = Field(description="Null without callback_url.")


class UnfinishedJob(JobSummary):
    """Queued or processing."""

    status: Literal[JobStatus.QUEUED, JobStatus.PROCESSING]
    estimated_completion: str | None = Field(
        description="From the measured speed and the queue; null while too little is known.",
        examples=["2026-11-23T10:35:00Z"],
    )
    queue_position: int = Field(description="1 is next; 0 is being worked on.", examples=[0])
    partial: str | None = Field(None, description="With partial=true: the text decoded so far.")


class CompletedJob(JobSummary):
    """Done."""

    status: Literal[JobStatus.COMPLETED]
    completed_at: str
    expires_at: str = Field(description="When the job and its result are deleted.")
    result: TranscriptionResponse


class EndedJob(JobSummary):
    """Failed or cancelled."""

    status: Literal[JobStatus.FAILED, JobStatus.CANCELLED]
    error: str = Field(description="Stable machine-readable type.", examples=["no_audio_stream"])
    detail: str = Field(description="What was wrong and what to do about it.")
    failed_at: str
    expires_at: str


class JobList(BaseModel):
    """Jobs, newest first. next_cursor: send it as `cursor` for older ones; null at the end."""

    jobs: list[JobSummary]
    next_cursor: str | None = Field(examples=["1041"])


def utc(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 with milliseconds, ending in Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def accepted(job: Job) -> JobAccepted:
    """The answer to a submission."""
    return JobAccepted(job_id=job.id, status=job.status, message=MESSAGES[job.status], status_url=f"/status/{job.id}")


def summary(job: Job) -> JobSummary:
    """A job in a list."""
    return JobSummary(**_common(job))


def unfinished(snapshot: JobSnapshot, at_once: int, now: float, partial: str | None = None) -> UnfinishedJob:
    """A queued or processing job. at_once: jobs that are worked on at the same time. now: seconds since the epoch."""
    left = seconds_left(snapshot, at_once, now)
    return UnfinishedJob(
        **_common(snapshot.job),
        estimated_completion=None if left is None else utc(now + left),
        queue_position=snapshot.ahead.jobs + 1 if snapshot.job.status is JobStatus.QUEUED else 0,
        partial=partial,
    )


def ended(job: Job) -> EndedJob:
    """A failed or cancelled job."""
    failure = job.failure or Failure("cancelled", "The job was cancelled.")
    return EndedJob(
        **_common(job),
        error=failure.code,
        detail=f"{failure.message} {failure.detail}".strip(),
        failed_at=utc(job.finished_at or 0),
        expires_at=utc(job.expires_at or 0),
    )


def completed(job: Job, transcript: Transcript) -> dict[str, Any]:
    """A completed job as CompletedJob; a dictionary, since a long transcript need not be checked once more."""
    return {
        **_common(job),
        "completed_at": utc(job.finished_at or 0),
        "expires_at": utc(job.expires_at or 0),
        "result": json_format.to_dict(transcript),
    }


def _common(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "status": job.status,
        "progress": progress_of(job),
        "created_at": utc(job.created_at),
        "attempts": job.attempt,
        "duration": job.seconds_total,
        "callback": _callback(job.delivery).model_dump() if job.delivery else None,
    }


def _callback(delivery: Delivery) -> Callback:
    return Callback(
        url=delivery.url,
        state=delivery.state,
        attempts=delivery.attempts,
        next_attempt_at=None if delivery.next_at is None else utc(delivery.next_at),
        detail=delivery.detail,
    )
