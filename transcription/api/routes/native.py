"""Answers the native BentoML API. Its declaration is in `native_input`."""

from __future__ import annotations

from typing import cast

import bentoml

from transcription.api.dependencies import Backend
from transcription.api.errors import error_response
from transcription.api.parameters.parsing import json_fields
from transcription.api.routes.transcription import answer_upload
from transcription.api.schemas.transcript import TranscriptionResponse
from transcription.core.errors import TranscriptionError


async def answer_native(ctx: bentoml.Context, backend: Backend) -> TranscriptionResponse:
    """Answer a native call. Errors are answered here, because BentoML would hide their messages."""
    try:
        response = await answer_upload(ctx.request, backend, json_fields)
    except TranscriptionError as error:
        response = error_response(error)
    ctx.response.status_code = response.status_code  # otherwise BentoML would send its own status code
    return cast(TranscriptionResponse, response)  # BentoML sends a response unchanged; the type is for its clients
