"""The input of the native BentoML API: typed for BentoML's clients and page, read from the wire by our own parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, create_model
from starlette.requests import Request
from starlette.responses import Response

from transcription.api.dependencies import Backend
from transcription.api.errors import error_response
from transcription.api.layout_parameters import LAYOUT_NAMES
from transcription.api.parameters import FILE, TranscriptionParameters, json_fields
from transcription.api.routes.transcription import answer_upload
from transcription.bentoml_patches.unread_input import UnreadInput
from transcription.core.errors import TranscriptionError

ROUTE = "/api/transcribe"  # native routes come before mounted ones, and POST /transcribe belongs to the contract
# The native API answers with the typed transcript; a task tells a callback, too.
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


async def answer_native(request: Request, backend: Backend) -> Response:
    """Transcribe the recording of a native call. Errors are answered here: BentoML would hide what they say."""
    try:
        return await answer_upload(request, backend, json_fields)
    except TranscriptionError as error:
        return error_response(error)
