"""The native BentoML API. Its input has types, for BentoML's clients and page; our own parser reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import bentoml
from pydantic import Field, create_model

from transcription.api.dependencies import Backend
from transcription.api.errors import error_response
from transcription.api.layout_parameters import LAYOUT_NAMES
from transcription.api.parameters import FILE, TranscriptionParameters, json_fields
from transcription.api.route_facts import Route, RouteFacts
from transcription.api.routes.tasks import ROUTE as TASK_ROUTE
from transcription.api.routes.transcription import answer_upload
from transcription.api.schemas import TranscriptionResponse
from transcription.bentoml_patches.unread_input import UnreadInput
from transcription.core.errors import TranscriptionError

ROUTE = "/api/transcribe"  # not /transcribe: BentoML's routes come before the mounted application's, which has that one
ROUTES = (Route("POST", ROUTE, RouteFacts(upload=True)), Route("POST", TASK_ROUTE, RouteFacts(upload=True)))
# The native API answers with the typed transcript; a task may have a callback, too.
LEFT_OUT_OF_TASKS = frozenset({"response_format", "async_"}) | LAYOUT_NAMES
LEFT_OUT = LEFT_OUT_OF_TASKS | {"callback_url"}


def _input(name: str, left_out: frozenset[str]) -> type[UnreadInput]:
    fields: dict[str, Any] = {
        parameter: (field.annotation, field)
        for parameter, field in TranscriptionParameters.model_fields.items()
        if parameter not in left_out
    }
    file = (Path, Field(description="The recording: audio or video."))
    return create_model(name, __base__=UnreadInput, **{FILE: file, **fields})


NativeInput = _input("TranscribeInput", LEFT_OUT)
TaskInput = _input("TranscribeJobInput", LEFT_OUT_OF_TASKS)


async def answer_native(ctx: bentoml.Context, backend: Backend) -> TranscriptionResponse:
    """Answer a native call. Errors are answered here, because BentoML would hide their messages."""
    try:
        response = await answer_upload(ctx.request, backend, json_fields)
    except TranscriptionError as error:
        response = error_response(error)
    ctx.response.status_code = response.status_code  # BentoML would send its own status code
    return cast(TranscriptionResponse, response)  # BentoML sends it as it is; the type is for its clients
