"""The status of a job as JSON, for GET /status and for webhooks."""

from __future__ import annotations

import json
import time
from enum import StrEnum

from transcription.api.rendered import RenderedResults
from transcription.api.schemas.jobs import completed, ended, unfinished
from transcription.api.shared_bodies import Shared, SharedResponse
from transcription.core.errors import InvalidParameter, UnreadableJob
from transcription.jobs.access import Access
from transcription.jobs.job import JobSnapshot, JobStatus
from transcription.jobs.service import JobService

JSON = {"Content-Type": "application/json"}
NOTHING = "none"


class Part(StrEnum):
    """A part of a status that is long, and can be left out."""

    RESULT = "result"
    PARTIAL = "partial"


def parse_include(text: str) -> frozenset[Part]:
    """The parts in a comma-separated list; `none` and an empty list mean no part. Raises InvalidParameter."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return frozenset(Part(name) for name in names if name != NOTHING)
    except ValueError as error:
        raise InvalidParameter(f"include: {error}. Known: {', '.join((*Part, NOTHING))}.") from None


class StatusRenderer:
    """Renders the status of jobs. concurrency: number of jobs processed at once."""

    def __init__(self, jobs: JobService, results: RenderedResults, concurrency: int) -> None:
        self._jobs = jobs
        self._results = results
        self._concurrency = concurrency

    async def render(self, snapshot: JobSnapshot, access: Access, include: frozenset[Part]) -> SharedResponse:
        """The response with the status, as the client may see it. Raises ServiceUnavailable, UnknownJob."""
        job = snapshot.job
        if job.status is JobStatus.COMPLETED:
            document = _compact(completed(job, access))
            if Part.RESULT not in include:
                return SharedResponse(Shared(document, JSON))
            try:
                result = await self._results.in_status(job)
            except UnreadableJob:
                job = await self._jobs.get(job.id, access)  # it has failed
            else:
                return SharedResponse(Shared(result.content, JSON), before=document[:-1] + b",")
        if job.finished:
            return SharedResponse(Shared(ended(job, access).model_dump_json(exclude_unset=True).encode(), JSON))
        shows_text = Part.PARTIAL in include
        text = await self._results.partial_text(job) if shows_text else None
        answer = unfinished(snapshot, access, self._concurrency, time.time(), text)
        exclude = None if shows_text else {"partial"}
        return SharedResponse(Shared(answer.model_dump_json(exclude=exclude, exclude_unset=True).encode(), JSON))


def _compact(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
