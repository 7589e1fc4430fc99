"""POST /transcribe: a recording in, its transcript out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

import formats
from api.backend import Backend, BackendDependency
from api.documentation import TRANSCRIBE_BODY, TRANSCRIBE_PARAMETERS, TRANSCRIBE_RESPONSES, TRANSCRIBE_SUMMARY
from api.errors import CLIENT_CLOSED_REQUEST
from api.parameters import parse_parameters
from errors import ServiceUnavailable
from logs import current_request_id
from media.upload import receive_upload
from metrics import HALLUCINATIONS
from transcript import Ticket, Transcript

Fields = Iterable[tuple[str, str]]
Result = TypeVar("Result")

router = APIRouter()


@router.post(
    "/transcribe",
    summary=TRANSCRIBE_SUMMARY,
    response_class=Response,
    responses=TRANSCRIBE_RESPONSES,
    openapi_extra={"requestBody": TRANSCRIBE_BODY, "parameters": TRANSCRIBE_PARAMETERS},
)
async def transcribe(request: Request, backend: BackendDependency) -> Response:
    """Send one recording as `multipart/form-data`. Every other parameter may be a form field or a query parameter.

    The transcript comes back in the format asked for. A recording without speech is no error: its text is empty.
    """
    return await answer_upload(request, backend)


def as_sent(fields: Fields) -> Fields:
    """Form fields as plain text, the way HTML forms and curl send them."""
    return fields


async def answer_upload(
    request: Request, backend: Backend, read_fields: Callable[[Fields], Fields] = as_sent
) -> Response:
    """Transcribe the recording in a request's body. A client that leaves takes its work with it.

    read_fields: how this route's callers encode form fields.
    Raises the errors of the domain.
    """
    try:
        async with asyncio.timeout(backend.settings.request_timeout):
            return await _answer_upload(request, backend, read_fields)
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    except TimeoutError as error:
        raise ServiceUnavailable(
            f"The request took longer than {backend.settings.request_timeout} s. Send a shorter recording, or try "
            "again when the service is less busy.",
            retry_after=60,
        ) from error


async def _answer_upload(request: Request, backend: Backend, read_fields: Callable[[Fields], Fields]) -> Response:
    query = request.query_params.multi_items()
    parse_parameters(query).to_request(backend.settings)  # refused before the body is read, if that is enough to tell
    async with receive_upload(
        request.stream(), request.headers.get("content-type", ""), _content_length(request), backend.settings
    ) as upload:
        parameters = parse_parameters(query, read_fields(upload.fields))
        work = backend.pipeline.transcribe(
            upload, parameters.to_request(backend.settings), Ticket(current_request_id())
        )
        transcript = await while_connected(request, work)
    _count_hallucinations(transcript)
    rendered = formats.render(transcript, parameters.response_format)
    return Response(rendered.body, headers={"Content-Type": rendered.content_type})


def _count_hallucinations(transcript: Transcript) -> None:
    for concern in transcript.warnings:
        HALLUCINATIONS.labels(reason=concern.reason.value, action=concern.action.value).inc()


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled when the client goes away. The request's body must have been read.

    Raises ClientDisconnect.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return await working
    finally:
        for task in (working, gone):
            task.cancel()
        # The decoder and the temporary file are given up in here, so that nothing is left when this returns.
        await asyncio.gather(working, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _content_length(request: Request) -> int | None:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else None
