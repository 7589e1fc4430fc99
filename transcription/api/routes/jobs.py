"""The routes of jobs: status, list, result, cancel, retry. POST /transcribe accepts new jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from formats import registry
from formats.registry import ResponseFormat
from transcription.api.admission import check_room
from transcription.api.dependencies import AccessDependency, BackendDependency
from transcription.api.documentation import error_responses
from transcription.api.examples import transcript_content
from transcription.api.job_status import Part, parse_include
from transcription.api.parameters.subtitles import ResultParameters
from transcription.api.route_facts import route_facts
from transcription.api.schemas.jobs import (
    CompletedJob,
    EndedJob,
    JobAccepted,
    JobList,
    UnfinishedJob,
    accepted,
    summary,
)
from transcription.api.schemas.transcript import JsonTranscript
from transcription.api.shared_bodies import SharedResponse
from transcription.core.errors import (
    InsufficientStorage,
    InvalidParameter,
    ServiceUnavailable,
    UnknownJob,
    UnknownVersion,
    UnreadableJob,
    WrongJobState,
)
from transcription.jobs.job import JobStatus

MAX_PAGE_SIZE = 200
MAX_CURSOR = 2**53 - 1  # the largest integer that every JSON parser reads exactly
UNKNOWN = error_responses(UnknownJob)
READABLE = error_responses(UnknownJob, ServiceUnavailable)
UNKNOWN_OR_WRONG = error_responses(UnknownJob, WrongJobState, UnreadableJob)
JOB = UnfinishedJob | CompletedJob | EndedJob
NO_ROOM = error_responses(ServiceUnavailable, InsufficientStorage)

router = APIRouter(tags=["jobs"])


@router.get("/status/{job_id}", operation_id="get_status", response_model=JOB, responses=READABLE)
@router.get("/jobs/{job_id}", operation_id="get_job", response_model=JOB, responses=READABLE)
async def status(
    job_id: str,
    backend: BackendDependency,
    access: AccessDependency,
    partial: Annotated[bool, Query(description="Include the text decoded so far, if the job is unfinished.")] = False,
    include: Annotated[
        str,
        Query(
            description="Long parts of the answer, separated by commas: result (of a completed job), partial (the text "
            "decoded so far). With none, a client that polls does not transfer the result each time.",
            examples=["none"],
        ),
    ] = Part.RESULT.value,
) -> Response:
    """The status of a job. A failed job is not an error here: the answer is 200 with the reason."""
    snapshot = await backend.jobs.snapshot(job_id, access)
    parts = parse_include(include) | ({Part.PARTIAL} if partial else set())
    return await backend.statuses.render(snapshot, access, parts)


@router.get("/jobs", operation_id="list_jobs", response_model_exclude_unset=True)
async def jobs(
    backend: BackendDependency,
    access: AccessDependency,
    status: Annotated[
        str, Query(description="Only jobs with these statuses, separated by commas.", examples=["queued,processing"])
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = 20,
    cursor: Annotated[int | None, Query(ge=1, le=MAX_CURSOR, description="next_cursor of the previous page.")] = None,
    owner: Annotated[str, Query(description="Only for admin keys: only the jobs of the key with this name.")] = "",
) -> JobList:
    """Jobs, newest first. With API keys, those of the key that asks; an admin key gets those of all."""
    if owner and not access.admin:
        raise InvalidParameter("'owner' needs a key that API_KEYS_FILE marks as admin. Leave it out.")
    found = await backend.jobs.list_jobs(access, _statuses(status), cursor, limit + 1, owner or None)
    page = found[:limit]
    more = len(found) > limit
    return JobList(jobs=[summary(job, access) for job in page], next_cursor=str(page[-1].number) if more else None)


@router.get(
    "/jobs/{job_id}/result",
    operation_id="get_result",
    response_class=Response,
    responses={
        200: {"model": JsonTranscript, "description": "The transcript", "content": transcript_content()},
        **UNKNOWN_OR_WRONG,
        **error_responses(UnknownJob, UnknownVersion),
    },
)
async def result(
    job_id: str,
    backend: BackendDependency,
    access: AccessDependency,
    parameters: Annotated[ResultParameters, Query()],
) -> Response:
    """The transcript of a completed job, in any format. Nothing is transcribed again.

    Subtitles have the layout of the submission; each parameter that is sent here replaces that of the submission.
    """
    job = await backend.jobs.get(job_id, access)
    response_format = parameters.response_format or ResponseFormat(job.response_format)
    if response_format is ResponseFormat.RTTM and job.request.speakers is None:
        raise WrongJobState(
            "The speakers of this recording were not told apart, and rttm says who speaks when. Submit the recording "
            "again with diarize=true."
        )
    layout = parameters.to_layout(job.layout.layout if job.layout else None)
    registry.check_layout(parameters.requested_layout(), response_format)
    return SharedResponse(await backend.results.in_format(job, response_format, layout, parameters.version))


@router.delete("/jobs/{job_id}", operation_id="cancel_job", responses=UNKNOWN)
async def cancel(job_id: str, request: Request, backend: BackendDependency, access: AccessDependency) -> JobAccepted:
    """Cancel an unfinished job, or delete a finished one with its result. Its files are deleted before the answer."""
    job = await backend.jobs.cancel(job_id, access)
    message = "Job cancelled" if job.status is JobStatus.CANCELLED and job.failure is None else "Job deleted"
    return accepted(job, request).model_copy(update={"message": message})


@router.post("/jobs/{job_id}/retry", operation_id="retry_job", status_code=202, responses=UNKNOWN_OR_WRONG | NO_ROOM)
@route_facts(upload=True)
async def retry(
    job_id: str, request: Request, backend: BackendDependency, access: AccessDependency, response: Response
) -> JobAccepted:
    """Run a failed or completed job again, under the same id. A failed job continues where it stopped."""
    check_room(backend.settings)
    answer = accepted(await backend.jobs.retry(job_id, access), request)
    response.headers["Location"] = answer.status_url
    return answer


def _statuses(text: str) -> frozenset[JobStatus]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return frozenset(JobStatus(name) for name in names)
    except ValueError as error:
        raise InvalidParameter(f"status: {error}. Known: {', '.join(JobStatus)}.") from None
