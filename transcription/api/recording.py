"""The recording of a request: in its body, or at a URL that it contains."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from urllib.parse import parse_qsl

from starlette.requests import Request

from transcription.api.caller import COUNT_BYTES
from transcription.api.dependencies import Backend
from transcription.api.parameters.parsing import FILE, URL
from transcription.api.parameters.transcription import MAX_URL_CHARACTERS
from transcription.api.small_body import read_small_body
from transcription.core.cancellation import cancel_on_disconnect
from transcription.core.errors import InvalidParameter, NotEnabled
from transcription.core.settings import Settings
from transcription.media.intake.fetch import no_limit
from transcription.media.intake.multipart import MAX_ALL_FIELDS_BYTES, MAX_FIELDS, NoFile
from transcription.media.intake.transfer import declared_size
from transcription.media.intake.upload import BeforeFile, Upload, receive_upload

URLENCODED = "application/x-www-form-urlencoded"

Fields = list[tuple[str, str]]


def upload_in(
    request: Request,
    settings: Settings,
    *,
    field: str = FILE,
    head: bytes = b"",
    before_file: BeforeFile | None = None,
) -> AbstractAsyncContextManager[Upload]:
    """The file in a request's body, while the context lasts. Parameters and errors are those of `receive_upload`."""
    content_type = request.headers.get("content-type", "")
    size = declared_size(request.headers)
    return receive_upload(
        request.stream(), content_type, size, settings, field=field, head=head, before_file=before_file
    )


def url_in(fields: Fields) -> str:
    """The URL among the fields, or "" without one. Raises InvalidParameter."""
    urls = [value.strip() for name, value in fields if name == URL and value.strip()]
    if len(urls) > 1:
        raise InvalidParameter(f"'{URL}' is given twice. Send it once.")
    if urls and len(urls[0]) > MAX_URL_CHARACTERS:
        raise InvalidParameter(f"'{URL}' has {len(urls[0])} characters. Send at most {MAX_URL_CHARACTERS}.")
    return urls[0] if urls else ""


def without_url(fields: Fields) -> Fields:
    """The fields other than the URL."""
    return [(name, value) for name, value in fields if name != URL]


@asynccontextmanager
async def recording_of(
    request: Request, backend: Backend, before_file: BeforeFile, before_download: BeforeFile
) -> AsyncIterator[Upload]:
    """The recording in the request's body or at its `url`, while the context lasts. Its `fields` are without the URL.

    before_file: as of `receive_upload`. before_download: awaited before anything is fetched, with all fields but the
    URL. Raises NotEnabled, what the two raise, and what `receive_upload` and `Fetcher.fetch` raise.
    """
    url = url_in(request.query_params.multi_items())
    if url and _has_no_body(request):
        fields: Fields = []
    elif request.headers.get("content-type", "").partition(";")[0].strip().lower() == URLENCODED:
        fields = await _read_fields(request)
    elif request.method == "GET":
        raise _no_recording()
    else:
        try:
            async with upload_in(request, backend.settings, before_file=before_file) as upload:
                if url or url_in(list(upload.fields)):
                    raise InvalidParameter(f"The request has both a file and a '{URL}'. Send only one of the two.")
                yield upload
                return
        except NoFile as error:
            if not (url or url_in(list(error.fields))):
                raise
            fields = list(error.fields)
    url = _only_url(url, url_in(fields), backend.settings)
    fields = without_url(fields)
    await before_download(fields)
    async with AsyncExitStack() as stack:
        fetched = backend.fetcher.fetch(url, request.scope.get(COUNT_BYTES, no_limit))
        upload = await cancel_on_disconnect(request.receive, stack.enter_async_context(fetched))
        yield replace(upload, fields=tuple(fields))


def check_url(request: Request, settings: Settings) -> None:
    """Check that the query has a URL that may be fetched. Raises InvalidParameter, NotEnabled."""
    if not url_in(request.query_params.multi_items()):
        raise _no_recording()
    _check_enabled(settings)


def _only_url(in_query: str, in_form: str, settings: Settings) -> str:
    """The URL of a request without a file. Raises InvalidParameter, NotEnabled."""
    if in_query and in_form:
        raise InvalidParameter(f"'{URL}' is in the query and in the form. Send it once.")
    if not (in_query or in_form):
        raise _no_recording()
    _check_enabled(settings)
    return in_query or in_form


def _check_enabled(settings: Settings) -> None:
    if not settings.enable_url_input:
        raise NotEnabled(
            "Downloads from URLs are turned off in this deployment (ENABLE_URL_INPUT=false). Send the file itself."
        )


def _has_no_body(request: Request) -> bool:
    return not declared_size(request.headers) and "transfer-encoding" not in request.headers


def _no_recording() -> InvalidParameter:
    return InvalidParameter(
        f"The request has no recording. Send it as the field '{FILE}' of a multipart form, or its URL as '{URL}'."
    )


async def _read_fields(request: Request) -> Fields:
    """The fields of a URL-encoded form. Raises InvalidParameter."""
    body = await read_small_body(request, MAX_ALL_FIELDS_BYTES, "form")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise InvalidParameter("The form is malformed.", str(error)) from None
