"""GET /jobs/{id}/events: the progress of a job as server-sent events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.requests import Request

from formats.json import TIME_DIGITS, word_to_dict
from transcription.api.dependencies import AccessDependency, BackendDependency
from transcription.api.documentation import error_responses
from transcription.api.public_path import public_path
from transcription.api.schemas.jobs import ended
from transcription.core.errors import UnknownJob, UnreadableJob
from transcription.core.transcript import Segment
from transcription.jobs.access import EVERY_JOB
from transcription.jobs.estimate import progress_of
from transcription.jobs.job import Job, JobStatus
from transcription.jobs.service import JobService

POLL_SECONDS = 0.25  # other processes may run the job, and only the store is shared with them
RECONNECT_MS = 2000
EVENT_ID = re.compile(r"(\d{1,9})\.(\d{1,9})")

router = APIRouter(tags=["jobs"])


async def known_job(job_id: str, backend: BackendDependency, access: AccessDependency) -> Job:
    """The job; UnknownJob is raised, and answered, before the stream begins."""
    return await backend.jobs.get(job_id, access)


@router.get(
    "/jobs/{job_id}/events",
    operation_id="follow_job",
    response_class=EventSourceResponse,
    responses=error_responses(UnknownJob),
)
async def events(
    job: Annotated[Job, Depends(known_job)],
    request: Request,
    backend: BackendDependency,
    last_event_id: Annotated[str, Header(description="Id of the last received event, sent by browsers.")] = "",
) -> AsyncIterator[ServerSentEvent]:
    """Events: `progress` when it changes, `segment` for each decoded segment, and finally `completed`, `failed` or
    `cancelled`; then the stream is closed. Suspected hallucinations may be dropped at the end of a job, so the
    transcript is its result, not the sum of the segments.
    """
    result_url = public_path(request, f"/jobs/{job.id}/result")
    async for event in follow(backend.jobs, job, resume_after(last_event_id), result_url):
        yield event


async def follow(jobs: JobService, job: Job, place: tuple[int, int], result_url: str) -> AsyncIterator[ServerSentEvent]:
    """The events of a job from a place on.

    place: the position of a window, and how many of its segments were sent. result_url: for the last event.
    """
    position, seen = place
    progress = None
    yield ServerSentEvent(comment="the job's events", retry=RECONNECT_MS)
    while True:
        job = await jobs.get(job.id, EVERY_JOB)  # before its segments: a finished job has all of them
        try:
            windows = await jobs.segments(job, position)
        except UnreadableJob:  # its transcript; the job has failed since
            continue
        for segments in windows:
            for number, segment in enumerate(segments[seen:], start=seen + 1):
                data = _segment(segment, shows_words=job.layout is None or job.layout.shows_words)
                yield ServerSentEvent(data=data, event="segment", id=f"{position}.{number}")
            position, seen = position + 1, 0
        if job.finished:
            yield _end(job, result_url)
            return
        if (now := (job.status, job.seconds_done, job.seconds_total)) != progress:
            progress = now
            yield ServerSentEvent(data=_progress(job), event="progress")
        if jobs.stopping.is_set():
            return  # the client reconnects, to this process or another
        await asyncio.sleep(POLL_SECONDS)


def resume_after(last_event_id: str) -> tuple[int, int]:
    """The place after an event; the beginning if the id is not one of ours."""
    match = EVENT_ID.fullmatch(last_event_id.strip())
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _segment(segment: Segment, *, shows_words: bool) -> dict[str, Any]:
    data: dict[str, Any] = {
        "start": round(segment.start, TIME_DIGITS),
        "end": round(segment.end, TIME_DIGITS),
        "text": segment.text.strip(),
    }
    if segment.words and shows_words:
        data["words"] = [word_to_dict(word) for word in segment.words]
    return data


def _progress(job: Job) -> dict[str, Any]:
    return {
        "status": job.status.value,
        "progress": progress_of(job),
        "seconds_done": round(job.seconds_done, TIME_DIGITS),
        "seconds_total": job.seconds_total,
    }


def _end(job: Job, result_url: str) -> ServerSentEvent:
    if job.status is JobStatus.COMPLETED:
        return ServerSentEvent(data={**_progress(job), "result_url": result_url}, event="completed")
    ending = ended(job)
    return ServerSentEvent(
        data={**_progress(job), "error": ending.error, "detail": ending.detail}, event=job.status.value
    )
