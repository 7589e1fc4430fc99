"""The input of the native BentoML API, for BentoML's clients and page; our own parser reads it, see `native`.

Every process that imports `service.py` imports this, so it imports little.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, create_model

from transcription.api.parameters.parsing import FILE
from transcription.api.parameters.subtitles import LAYOUT_NAMES
from transcription.api.parameters.transcription import TranscriptionParameters
from transcription.api.route_facts import Route, RouteFacts
from transcription.bentoml_patches.unread_input import UnreadInput

ROUTE = "/api/transcribe"  # not /transcribe: BentoML's routes take precedence over the mounted application's
TASK_ROUTE = "/api/transcribe_job"
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
