"""GET /jobs/{id}/events: the progress of a job as server-sent events."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from transcription.api.dependencies import AccessDependency, BackendDependency
from transcription.api.documentation import error_responses
from transcription.api.job_feeds import Feed, JobFeeds
from transcription.api.public_path import public_path
from transcription.api.route_facts import route_facts
from transcription.core.cancellation import cancel_on_disconnect
from transcription.core.errors import ServiceUnavailable, TooManyStreams, UnknownJob
from transcription.jobs.job import Job

EVENT_ID = re.compile(r"(\d{1,9})\.(\d{1,9})")
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

router = APIRouter(tags=["jobs"])


class EventStream(Response):
    """The type of a stream of events, for the API document."""

    media_type = "text/event-stream"


class EventsResponse(EventStream):
    """Streams the events of a job from a place on: the position of a window, and how many of its segments were sent."""

    def __init__(self, feeds: JobFeeds, job: Job, place: tuple[int, int], result_url: str) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["Content-Length"]  # not known
        self._feeds = feeds
        self._job = job
        self._place = place
        self._result_url = result_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response. Raises ServiceUnavailable before it begins."""
        with self._feeds.watch(self._job) as feed:
            try:
                await cancel_on_disconnect(receive, self._send_events(feed, send))
            except ClientDisconnect:
                return

    async def _send_events(self, feed: Feed, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(feed.events(self._place, self._result_url)) as events:
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def known_job(job_id: str, backend: BackendDependency, access: AccessDependency) -> Job:
    """The job; UnknownJob is raised, and answered, before the stream begins."""
    return await backend.jobs.get(job_id, access)


@router.get(
    "/jobs/{job_id}/events",
    operation_id="follow_job",
    response_class=EventStream,
    responses=error_responses(UnknownJob, TooManyStreams, ServiceUnavailable),
)
@route_facts(stream=True)
async def events(
    job: Annotated[Job, Depends(known_job)],
    request: Request,
    backend: BackendDependency,
    last_event_id: Annotated[str, Header(description="Id of the last received event, sent by browsers.")] = "",
) -> Response:
    """Events: `progress` when it changes, `segment` for each decoded segment, and finally `completed`, `failed` or
    `cancelled`; then the stream is closed. Suspected hallucinations may be dropped at the end of a job, so the
    transcript is its result, not the sum of the segments.
    """
    place = resume_after(last_event_id)
    return EventsResponse(backend.feeds, job, place, public_path(request, f"/jobs/{job.id}/result"))


def resume_after(last_event_id: str) -> tuple[int, int]:
    """The place after an event; the beginning if the id is not one of ours."""
    match = EVENT_ID.fullmatch(last_event_id.strip())
    return (int(match[1]), int(match[2])) if match else (0, 0)
