"""POST /v1/audio/transcriptions and /v1/audio/translations, GET /v1/models."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from formats import registry
from formats.openai import render_diarized_json, render_json, render_verbose_json
from formats.registry import Rendered, ResponseFormat
from runners.models.catalogue import list_allowed
from transcription.api.answer import answer_recording, answer_transcript, name_header
from transcription.api.caller import ticket_of
from transcription.api.dependencies import Backend, BackendDependency
from transcription.api.known_speakers import known_voices, unheard
from transcription.api.openai.documentation import (
    ERRORS,
    TRANSCRIPTION_BODY,
    TRANSCRIPTION_RESPONSES,
    TRANSLATION_BODY,
    TRANSLATION_RESPONSES,
)
from transcription.api.openai.errors import PREFIX
from transcription.api.openai.models import ALIASES, resolve
from transcription.api.openai.parameters import OpenAIFormat, OpenAIRequest, parse
from transcription.api.openai.schemas import OpenAIModel, OpenAIModelList
from transcription.api.openai.streaming import EventStream, Item, Work
from transcription.api.recording import upload_in
from transcription.api.request_headers import is_no_store
from transcription.api.route_facts import route_facts
from transcription.core.cancellation import cancel_on_disconnect
from transcription.core.options import Task
from transcription.core.settings import Settings
from transcription.core.transcript import Transcript
from transcription.media.intake.upload import Upload

JSON, TEXT = ResponseFormat.JSON.record.content_type, ResponseFormat.TEXT.record.content_type

router = APIRouter(prefix=PREFIX, tags=["openai"], responses=ERRORS)


@router.post(
    "/audio/transcriptions",
    summary="Transcribe (OpenAI API)",
    operation_id="create_transcription",
    response_class=Response,
    responses=TRANSCRIPTION_RESPONSES,
    openapi_extra={"requestBody": TRANSCRIPTION_BODY},
)
@route_facts(upload=True)
async def transcriptions(request: Request, backend: BackendDependency) -> Response:
    """Compatible with OpenAI's API. With `stream=true` the text is sent as server-sent events while it is decoded."""
    return await answer(request, backend, Task.TRANSCRIBE)


@router.post(
    "/audio/translations",
    summary="Translate into English (OpenAI API)",
    operation_id="create_translation",
    response_class=Response,
    responses=TRANSLATION_RESPONSES,
    openapi_extra={"requestBody": TRANSLATION_BODY},
)
@route_facts(upload=True)
async def translations(request: Request, backend: BackendDependency) -> Response:
    """Compatible with OpenAI's API."""
    return await answer(request, backend, Task.TRANSLATE)


@router.get("/models", operation_id="list_openai_models")
async def models(backend: BackendDependency) -> OpenAIModelList:
    """Every value of `model`: the models of this service, and names of OpenAI's that select the default one."""
    names = await asyncio.to_thread(_names, backend.settings)
    return OpenAIModelList(object="list", data=[OpenAIModel.named(name) for name in names])


@router.get("/models/{model}", operation_id="get_openai_model")
async def model(model: str, backend: BackendDependency) -> OpenAIModel:
    """One model by name; any name that `model` accepts, such as `openai/whisper-1`."""
    await asyncio.to_thread(resolve, model, backend.settings)
    return OpenAIModel.named(model)


@router.get("/models/{vendor}/{model}", include_in_schema=False)
async def model_of_vendor(vendor: str, model: str, backend: BackendDependency) -> OpenAIModel:
    """One model by a name with a slash, which clients send as it is or as %2F."""
    name = f"{vendor}/{model}"
    await asyncio.to_thread(resolve, name, backend.settings)
    return OpenAIModel.named(name)


def _names(settings: Settings) -> list[str]:
    return [*ALIASES, *(known.name for known in list_allowed(settings))]


async def answer(request: Request, backend: Backend, task: Task, deployment: str | None = None) -> Response:
    """Answer with the transcript, or a stream of it. deployment: its name in a path of Azure's, see `parse`."""

    async def respond(received: Upload) -> Response:
        upload = replace(received, lenient=True)  # clients call every file file.mp3, or audio.wav
        parsed = await with_known_voices(parse(upload.fields, task, backend.settings, deployment), backend)
        if parsed.stream:
            return await _stream(request, backend, upload, parsed)
        return await answer_transcript(request, backend, upload, parsed.request, partial(render, parsed=parsed))

    return await answer_recording(backend, upload_in(request, backend.settings), respond)


async def with_known_voices(parsed: OpenAIRequest, backend: Backend) -> OpenAIRequest:
    """The request with the voices in its samples. Raises InvalidParameter, and the errors of media/."""
    if not (parsed.samples and parsed.request.speakers):
        return parsed
    speakers = replace(parsed.request.speakers, known=unheard(parsed.samples))  # checks the names, before the work
    speakers = replace(speakers, known=await known_voices(parsed.samples, backend))
    return replace(parsed, request=replace(parsed.request, speakers=speakers))


async def _stream(request: Request, backend: Backend, upload: Upload, parsed: OpenAIRequest) -> Response:
    """Stream events. The response begins after the first window, so a failure before that has its own status code."""
    ticket = ticket_of(request, backend.settings)
    work = backend.transcriber.stream(upload, parsed.request, ticket, is_no_store(request))
    try:
        first = await cancel_on_disconnect(request.receive, _next(work))
    except BaseException:
        await work.aclose()
        raise
    return EventStream(
        first,
        work,
        headers=await name_header(upload, backend.settings),
        logprobs=parsed.logprobs,
        speakers=parsed.response_format is OpenAIFormat.DIARIZED_JSON,
        write_timeout=backend.settings.upload_timeout,
        time_limit=backend.settings.request_timeout,
    )


async def _next(work: Work) -> Item:
    return await anext(work)


def render(transcript: Transcript, parsed: OpenAIRequest) -> Rendered:
    """The transcript in the requested format."""
    if parsed.response_format is OpenAIFormat.VERBOSE_JSON:
        return Rendered(render_verbose_json(transcript, segments=parsed.segments, words=parsed.words), JSON)
    if parsed.response_format is OpenAIFormat.DIARIZED_JSON:
        return Rendered(render_diarized_json(transcript), JSON)
    if parsed.response_format is OpenAIFormat.JSON:
        return Rendered(render_json(transcript, logprobs=parsed.logprobs), JSON)
    rendered = registry.render(transcript, ResponseFormat(parsed.response_format.value), parsed.layout)
    # Whatever the format, as OpenAI answers: its .NET client parses a body of any other type as JSON.
    return replace(rendered, content_type=TEXT)
