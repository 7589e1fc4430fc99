"""The routes of jobs: status, list, result, cancel, retry. POST /transcribe accepts them."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from formats import registry
from formats.registry import ResponseFormat
from transcription.api.admission import check_room
from transcription.api.dependencies import BackendDependency
from transcription.api.documentation import error_responses
from transcription.api.errors import KINDS
from transcription.api.job_schemas import (
    CompletedJob,
    EndedJob,
    JobAccepted,
    JobList,
    UnfinishedJob,
    accepted,
    completed,
    ended,
    summary,
    unfinished,
)
from transcription.api.layout_parameters import ResultParameters, warning_headers
from transcription.api.route_facts import route_facts
from transcription.core.errors import (
    InsufficientStorage,
    InvalidParameter,
    ServiceUnavailable,
    UnknownJob,
    WrongJobState,
)
from transcription.jobs.job import JobSnapshot, JobStatus
from transcription.jobs.service import JobService

MOST_JOBS = 200
UNKNOWN = error_responses([KINDS[UnknownJob]])
UNKNOWN_OR_WRONG = error_responses([KINDS[UnknownJob], KINDS[WrongJobState]])
NO_ROOM = error_responses([KINDS[ServiceUnavailable], KINDS[InsufficientStorage]])

router = APIRouter(tags=["jobs"])


@router.get("/status/{job_id}", response_model=UnfinishedJob | CompletedJob | EndedJob, responses=UNKNOWN)
@router.get("/jobs/{job_id}", response_model=UnfinishedJob | CompletedJob | EndedJob, responses=UNKNOWN)
async def status(
    job_id: str,
    backend: BackendDependency,
    partial: Annotated[bool, Query(description="With the text decoded so far, while the job is unfinished.")] = False,
) -> Response:
    """How a job stands. A failed job is no error here: the answer is 200 and says why."""
    snapshot = await backend.jobs.snapshot(job_id)
    body = await status_body(backend.jobs, snapshot, backend.settings.job_concurrency, partial=partial)
    return Response(body, media_type="application/json")


async def status_body(jobs: JobService, snapshot: JobSnapshot, at_once: int, *, partial: bool = False) -> bytes:
    """The JSON that tells how a job stands; webhooks send the same. at_once: jobs that are worked on at one time."""
    job = snapshot.job
    if job.status is JobStatus.COMPLETED:
        document = completed(job, await jobs.result(job))
        return bytes(JSONResponse(document).body)
    if job.finished:
        return ended(job).model_dump_json().encode()
    text = await jobs.partial_text(job) if partial else None
    answer = unfinished(snapshot, at_once, time.time(), text)
    return answer.model_dump_json(exclude=None if partial else {"partial"}).encode()


@router.get("/jobs")
async def jobs(
    backend: BackendDependency,
    status: Annotated[str, Query(description="Only these, separated by commas.", examples=["queued,processing"])] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_JOBS)] = 20,
    cursor: Annotated[int | None, Query(ge=1, description="next_cursor of the page before.")] = None,
) -> JobList:
    """Jobs, newest first."""
    found = await backend.jobs.list_jobs(_statuses(status), cursor, limit + 1)
    page = found[:limit]
    more = len(found) > limit
    return JobList(jobs=[summary(job) for job in page], next_cursor=str(page[-1].number) if more else None)


@router.get("/jobs/{job_id}/result", response_class=Response, responses=UNKNOWN_OR_WRONG)
async def result(
    job_id: str,
    backend: BackendDependency,
    parameters: Annotated[ResultParameters, Query()],
) -> Response:
    """The transcript of a completed job, in any format, as often as wanted. Nothing is transcribed again.

    Subtitles have the layout of the submission; parameters that are sent here win over it, one by one.
    """
    job = await backend.jobs.get(job_id)
    response_format = parameters.response_format or ResponseFormat(job.response_format)
    layout = parameters.to_layout(job.layout.layout if job.layout else None)
    registry.check_layout(parameters.asked_layout(), response_format)
    transcript = await backend.jobs.result(job)
    rendered = await asyncio.to_thread(registry.render, transcript, response_format, layout)
    return Response(rendered.body, headers={"Content-Type": rendered.content_type} | warning_headers(rendered))


@router.delete("/jobs/{job_id}", responses=UNKNOWN)
async def cancel(job_id: str, backend: BackendDependency) -> JobAccepted:
    """Cancel an unfinished job, or delete a finished one with its result. Its files are gone when this answers."""
    job = await backend.jobs.cancel(job_id)
    message = "Job cancelled" if job.status is JobStatus.CANCELLED and job.failure is None else "Job deleted"
    return accepted(job).model_copy(update={"message": message})


@router.post("/jobs/{job_id}/retry", status_code=202, responses=UNKNOWN_OR_WRONG | NO_ROOM)
@route_facts(upload=True)
async def retry(job_id: str, backend: BackendDependency, response: Response) -> JobAccepted:
    """Do a failed or completed job again, under the same id. A failed one goes on where it stopped."""
    check_room(backend.settings)
    answer = accepted(await backend.jobs.retry(job_id))
    response.headers["Location"] = answer.status_url
    return answer


def _statuses(text: str) -> frozenset[JobStatus]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return frozenset(JobStatus(name) for name in names)
    except ValueError as error:
        raise InvalidParameter(f"status: {error}. Known: {', '.join(JobStatus)}.") from None
