"""POST /v1/audio/transcriptions and /v1/audio/translations, GET /v1/models."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from formats import registry
from formats.openai import render_json, render_verbose_json
from formats.registry import Rendered, ResponseFormat
from runners.models.catalogue import list_models
from transcription.api.answer import answer_recording, answer_transcript, while_connected
from transcription.api.dependencies import Backend, BackendDependency
from transcription.api.openai.documentation import ERRORS, TRANSCRIPTION_BODY, TRANSCRIPTION_RESPONSES, TRANSLATION_BODY
from transcription.api.openai.parameters import ALIASES, Asked, Format, parse
from transcription.api.openai.streaming import EventStream, Item, Work
from transcription.api.recording import upload_in
from transcription.api.request_headers import is_no_store
from transcription.api.route_facts import route_facts
from transcription.core.errors import UnknownModel
from transcription.core.options import Task, Ticket
from transcription.core.settings import Settings
from transcription.core.transcript import Transcript
from transcription.media.intake.upload import Upload
from transcription.telemetry.logs import current_request_id

OWNER = "transcription-service"
JSON = "application/json"

router = APIRouter(prefix="/v1", tags=["openai"], responses=ERRORS)


class Model(BaseModel):
    """A model as OpenAI lists it."""

    id: str = Field(examples=["whisper-1"])
    object: str = Field("model")
    created: int = Field(0, description="Not known here.")
    owned_by: str = Field(OWNER)


class ModelList(BaseModel):
    """Every name that `model` takes."""

    object: str = Field("list")
    data: list[Model]


@router.post(
    "/audio/transcriptions",
    summary="Transcribe, as OpenAI does",
    response_class=Response,
    responses=TRANSCRIPTION_RESPONSES,
    openapi_extra={"requestBody": TRANSCRIPTION_BODY},
)
@route_facts(upload=True)
async def transcriptions(request: Request, backend: BackendDependency) -> Response:
    """For OpenAI's clients. With `stream=true` the text comes as server-sent events while it is decoded."""
    return await _answer(request, backend, Task.TRANSCRIBE)


@router.post(
    "/audio/translations",
    summary="Translate into English, as OpenAI does",
    response_class=Response,
    responses=TRANSCRIPTION_RESPONSES,
    openapi_extra={"requestBody": TRANSLATION_BODY},
)
@route_facts(upload=True)
async def translations(request: Request, backend: BackendDependency) -> Response:
    """For OpenAI's clients."""
    return await _answer(request, backend, Task.TRANSLATE)


@router.get("/models")
async def models(backend: BackendDependency) -> ModelList:
    """Every name that `model` takes: our models, and names of OpenAI's that mean our default."""
    names = await asyncio.to_thread(_names, backend.settings)
    return ModelList(data=[Model(id=name) for name in names])


@router.get("/models/{model}")
async def model(model: str, backend: BackendDependency) -> Model:
    """One of them."""
    if model not in await asyncio.to_thread(_names, backend.settings):
        raise UnknownModel(f"The model '{model[:80]}' does not exist. GET /v1/models lists those that do.")
    return Model(id=model)


def _names(settings: Settings) -> list[str]:
    return [*ALIASES, *(known.name for known in list_models(settings))]


async def _answer(request: Request, backend: Backend, task: Task) -> Response:
    async def respond(upload: Upload) -> Response:
        asked = parse(upload.fields, task, backend.settings)
        if asked.stream:
            return await _stream(request, backend, upload, asked)
        return await answer_transcript(request, backend, upload, asked.request, partial(render, asked=asked))

    return await answer_recording(request, backend, upload_in(request, backend.settings), respond)


async def _stream(request: Request, backend: Backend, upload: Upload, asked: Asked) -> Response:
    """Wait for the first window: a failure until then is answered with its status, since nothing has been sent."""
    work = backend.transcriber.stream(upload, asked.request, Ticket(current_request_id()), is_no_store(request))
    try:
        begun = await while_connected(request, _first(work))
    except BaseException:
        await work.aclose()
        raise
    return EventStream(
        begun,
        work,
        logprobs=asked.logprobs,
        patience=backend.settings.upload_timeout,
        limit=backend.settings.request_timeout,
    )


async def _first(work: Work) -> Item:
    return await anext(work)


def render(transcript: Transcript, asked: Asked) -> Rendered:
    """The transcript in the format asked for."""
    if asked.response_format is Format.VERBOSE_JSON:
        return Rendered(render_verbose_json(transcript, segments=asked.segments, words=asked.words), JSON)
    if asked.response_format is Format.JSON:
        return Rendered(render_json(transcript, logprobs=asked.logprobs), JSON)
    return registry.render(transcript, ResponseFormat(asked.response_format.value), asked.layout)
