"""The transcripts of completed jobs: read for editing, corrected, with their versions and the names of speakers."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from formats import json as json_format
from transcription.api.admission import check_room
from transcription.api.dependencies import AccessDependency, BackendDependency
from transcription.api.documentation import error_responses, json_body
from transcription.api.parameters.subtitles import VersionNumber
from transcription.api.rendered import etag_of
from transcription.api.route_facts import route_facts
from transcription.api.schemas.edits import (
    JobTranscript,
    SavedTranscript,
    TranscriptEdit,
    TranscriptVersion,
    TranscriptVersions,
    parse_edit,
)
from transcription.api.schemas.jobs import JobSpeakers, utc
from transcription.api.shared_bodies import SharedResponse
from transcription.api.small_body import read_small_body
from transcription.api.speaker_names import NAMES_BODY, read_names
from transcription.core.errors import (
    EditConflict,
    FileTooLarge,
    InsufficientStorage,
    InvalidParameter,
    ServiceUnavailable,
    UnknownJob,
    UnknownVersion,
    UnreadableJob,
    WrongJobState,
)
from transcription.jobs.transcripts.transcripts import check_expected

MAX_TRANSCRIPT_BYTES = 16 * 1024 * 1024  # eight hours with words have 8 MiB
# A proxy that compresses answers makes ETags weak (W/), although the transcript is the same.
_ETAG = re.compile(r'(?:W/)?"([^"]*)"')
_ETAGS = re.compile(rf"\s*{_ETAG.pattern}(?:\s*,\s*{_ETAG.pattern})*\s*")

COMPLETED = error_responses(UnknownJob, WrongJobState, UnreadableJob)
VERSION = error_responses(UnknownJob, UnknownVersion, WrongJobState, UnreadableJob)
REFUSED = error_responses(EditConflict, FileTooLarge, InvalidParameter, ServiceUnavailable, InsufficientStorage)

router = APIRouter(tags=["jobs"])


@router.get(
    "/jobs/{job_id}/transcript",
    operation_id="get_transcript",
    response_model=JobTranscript,
    responses=VERSION,
)
async def transcript(
    job_id: str,
    backend: BackendDependency,
    access: AccessDependency,
    version: Annotated[VersionNumber, Query(description="A version that is kept; by default the present one.")] = None,
) -> Response:
    """The transcript of a completed job, for editing: its segments and, if they have times, their words.

    The header `ETag` of the present version is for `If-Match`.
    """
    job = await backend.jobs.get(job_id, access)
    return SharedResponse(await backend.results.for_editing(job, version))


@router.put(
    "/jobs/{job_id}/transcript",
    operation_id="save_transcript",
    responses=COMPLETED | REFUSED,
    openapi_extra={"requestBody": json_body(TranscriptEdit)},
)
@route_facts(upload=True)
async def save(
    job_id: str,
    request: Request,
    response: Response,
    backend: BackendDependency,
    access: AccessDependency,
    if_match: Annotated[
        str | None,
        Header(
            description="ETags of which the present transcript has one; otherwise 412. Without it, the transcript is "
            "replaced, whichever request changed it.",
        ),
    ] = None,
) -> SavedTranscript:
    """Save a corrected transcript. The result has it in every format from then on; the former one is a version.

    The body has all segments. Words that did not change keep their times.
    """
    expected = _parse_if_match(if_match)
    check_expected(await backend.jobs.get(job_id, access), expected)  # before the body is read
    check_room(backend.settings)
    body = await read_small_body(request, MAX_TRANSCRIPT_BYTES, "transcript", FileTooLarge)
    backend.jobs.check_space(len(body))
    saved = await backend.jobs.transcripts.save(job_id, access, partial(parse_edit, body), expected)
    response.headers["ETag"] = etag_of(saved.result)
    return SavedTranscript(job_id=job_id, version=saved.version)


@router.get("/jobs/{job_id}/transcript/versions", operation_id="list_versions", responses=COMPLETED)
async def versions(job_id: str, backend: BackendDependency, access: AccessDependency) -> TranscriptVersions:
    """The versions of a completed job's transcript that are kept: the first one, and the latest."""
    job = await backend.jobs.get(job_id, access)
    kept = await backend.jobs.transcripts.versions(job)
    shown = [TranscriptVersion(version=each.number, saved_at=utc(each.saved_at)) for each in kept]
    return TranscriptVersions(job_id=job_id, versions=shown)


@router.post(
    "/jobs/{job_id}/speakers",
    operation_id="rename_speakers",
    responses=COMPLETED | error_responses(InvalidParameter),
    openapi_extra={"requestBody": NAMES_BODY},
)
async def rename_speakers(
    job_id: str, request: Request, backend: BackendDependency, access: AccessDependency
) -> JobSpeakers:
    """Give the speakers of a completed job other names, as an object of labels and names: `{"SPEAKER_00": "Ann"}`.

    Its result has them in every format from then on. Speakers of one name become one. The former transcript is a
    version.
    """
    await backend.jobs.get(job_id, access)  # before the body is read: a job of another client is unknown
    speakers = await backend.jobs.transcripts.rename_speakers(job_id, access, await read_names(request))
    return JobSpeakers.model_validate(
        {"job_id": job_id, "speakers": [json_format.speaker_to_dict(speaker) for speaker in speakers]}
    )


def _parse_if_match(header: str | None) -> frozenset[str] | None:
    """The results in the header; None for any. Raises InvalidParameter."""
    if header is None or header.strip() == "*":
        return None
    if not _ETAGS.fullmatch(header):
        raise InvalidParameter('If-Match must be the ETag of GET /jobs/{id}/transcript, in quotes, such as "17", or *.')
    return frozenset(_ETAG.findall(header))
