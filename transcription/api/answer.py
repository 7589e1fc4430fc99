"""The steps from a recording to its answer, shared by all routes that take a recording.

A route supplies the source of the recording and renders the answer. Admission, the time limit, cancellation on
disconnect, logging, tracing, rendering and the common headers are here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from formats.registry import Rendered
from transcription.api.admission import check_room
from transcription.api.caller import access_of, ticket_of
from transcription.api.dependencies import Backend
from transcription.api.errors import CLIENT_CLOSED_REQUEST
from transcription.api.rendered import codes_header, headers_of, notice_headers
from transcription.api.request_headers import idempotency_key, is_no_store
from transcription.core.cancellation import cancel_on_disconnect
from transcription.core.errors import NotEnabled, ServiceUnavailable
from transcription.core.options import TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.transcript import Transcript
from transcription.media.intake.identify import misnamed
from transcription.media.intake.upload import Upload
from transcription.pipeline.transcriber import Source
from transcription.telemetry.logs import metadata_of
from transcription.telemetry.tracing import FORMAT, UPLOAD, traced

Recording = AbstractAsyncContextManager[Upload]
Respond = Callable[[Upload], Awaitable[Response]]
Render = Callable[[Transcript], Rendered]

TIMEOUT_RETRY_SECONDS = 60
CACHE_STATUS_HEADER = "Cache-Status"  # RFC 9211
CACHE_STATUS = {
    Source.HIT: "transcription; hit",
    Source.JOIN: "transcription; fwd=miss; collapsed; detail=join",
    Source.MISS: "transcription; fwd=miss; detail=miss",
    Source.BYPASS: "transcription; fwd=bypass; detail=bypass",
}
WRONG_NAME = "wrong_file_name_or_type"

log = structlog.get_logger(__name__)


async def answer_recording(backend: Backend, recording: Recording, respond: Respond) -> Response:
    """Receive a recording and return the response that `respond` makes of it, within REQUEST_TIMEOUT.

    recording: entered once resources are available; left, and its file deleted, before this returns.
    Raises ServiceUnavailable, InsufficientStorage, and what `recording` and `respond` raise.
    """
    try:
        async with asyncio.timeout(backend.settings.request_timeout), AsyncExitStack() as stack:
            check_room(backend.settings)
            with traced(UPLOAD):
                upload = await stack.enter_async_context(recording)
            return await respond(upload)
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    except TimeoutError as error:
        raise timed_out(backend.settings.request_timeout) from error


async def answer_transcript(
    request: Request,
    backend: Backend,
    upload: Upload,
    options: TranscriptionRequest,
    render: Render,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Transcribe and render.

    headers: added to the common ones, which they may replace.
    Raises ClientDisconnect, and the errors of the pipeline.
    """
    ticket = ticket_of(request, backend.settings)
    work = backend.transcriber.transcribe(upload, options, ticket, is_no_store(request))
    transcript, source = await cancel_on_disconnect(request.receive, work)
    log.info("transcribed", source=source.value, metadata=metadata_of(transcript, upload.size))
    with traced(FORMAT):
        # In a thread: the subtitles of a one-hour recording take a second to lay out.
        rendered = await asyncio.to_thread(render, transcript)
    notices = notice_headers(transcript, await name_codes(upload, backend.settings))
    return rendered_response(rendered, {CACHE_STATUS_HEADER: CACHE_STATUS[source], **notices, **(headers or {})})


async def name_codes(upload: Upload, settings: Settings) -> list[str]:
    """The code of the warning about the file's name or type, where a wrong one is no error; empty if it is right."""
    if settings.strict_media_types and not upload.lenient:
        return []
    return [WRONG_NAME] if await asyncio.to_thread(misnamed, upload) else []


async def name_header(upload: Upload, settings: Settings) -> dict[str, str]:
    """The header with `name_codes`, of an answer that has no other warnings."""
    return codes_header(await name_codes(upload, settings))


def rendered_response(rendered: Rendered, headers: Mapping[str, str] | None = None) -> Response:
    """The response with a rendered transcript. headers: added to the common ones, which they may replace."""
    return Response(rendered.body, headers={**headers_of(rendered), **(headers or {})})


def check_async(backend: Backend) -> None:
    """Raise NotEnabled unless jobs are accepted."""
    if not backend.settings.enable_async:
        raise NotEnabled(
            "Jobs are turned off in this deployment (ENABLE_ASYNC=false). Leave 'async' out and wait for the answer."
        )


async def check_submission(request: Request, backend: Backend, size: int = 0) -> None:
    """Check, before the recording is received, that the sender may submit another job.

    size: bytes for which no space is reserved yet.
    Raises NotEnabled, InsufficientStorage, TooManyJobs, ServiceUnavailable, InvalidParameter.
    """
    check_async(backend)
    backend.jobs.check_space(size)
    await backend.jobs.check_open(access_of(request, backend.settings), idempotency_key(request))


def timed_out(seconds: float) -> ServiceUnavailable:
    """The error of a request that took longer than `seconds`, the REQUEST_TIMEOUT."""
    return ServiceUnavailable(
        f"The request took longer than {seconds:g} s. Send a shorter recording, or try again when the service is less "
        "busy.",
        retry_after=TIMEOUT_RETRY_SECONDS,
    )
