"""The native BentoML API. Its input is typed for BentoML's clients and page, and parsed by our own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import bentoml
from pydantic import Field, create_model

from transcription.api.dependencies import Backend
from transcription.api.errors import error_response
from transcription.api.parameters.parsing import FILE, json_fields
from transcription.api.parameters.subtitles import LAYOUT_NAMES
from transcription.api.parameters.transcription import TranscriptionParameters
from transcription.api.route_facts import Route, RouteFacts
from transcription.api.routes.tasks import ROUTE as TASK_ROUTE
from transcription.api.routes.transcription import answer_upload
from transcription.api.schemas.transcript import TranscriptionResponse
from transcription.bentoml_patches.unread_input import UnreadInput
from transcription.core.errors import TranscriptionError

ROUTE = "/api/transcribe"  # not /transcribe: BentoML's routes take precedence over the mounted application's
ROUTES = (Route("POST", ROUTE, RouteFacts(upload=True)), Route("POST", TASK_ROUTE, RouteFacts(upload=True)))
# The native API answers with the typed transcript only.
EXCLUDED_FROM_TASKS = frozenset({"response_format", "async_"}) | LAYOUT_NAMES
EXCLUDED = EXCLUDED_FROM_TASKS | {"callback_url"}


def _input(name: str, excluded: frozenset[str]) -> type[UnreadInput]:
    fields: dict[str, Any] = {
        parameter: (field.annotation, field)
        for parameter, field in TranscriptionParameters.model_fields.items()
        if parameter not in excluded
    }
    file = (Path, Field(description="The recording: audio or video."))
    return create_model(name, __base__=UnreadInput, **{FILE: file, **fields})


NativeInput = _input("TranscribeInput", EXCLUDED)
TaskInput = _input("TranscribeJobInput", EXCLUDED_FROM_TASKS)


async def answer_native(ctx: bentoml.Context, backend: Backend) -> TranscriptionResponse:
    """Answer a native call. Errors are answered here, because BentoML would hide their messages."""
    try:
        response = await answer_upload(ctx.request, backend, json_fields)
    except TranscriptionError as error:
        response = error_response(error)
    ctx.response.status_code = response.status_code  # otherwise BentoML would send its own status code
    return cast(TranscriptionResponse, response)  # BentoML sends a response unchanged; the type is for its clients
