"""POST /v1/audio/diarization, as LocalAI and speaches have it: who speaks when, without a transcript."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from formats.diarization import render_json, render_rttm
from formats.registry import Rendered, ResponseFormat
from transcription.api.answer import answer_recording, name_header, rendered_response
from transcription.api.dependencies import BackendDependency
from transcription.api.documentation import Responses, enumeration, field_schemas, file_schema, multipart_body
from transcription.api.known_speakers import KNOWN_SCHEMAS, known_voices, samples_of, unheard
from transcription.api.openai.documentation import ERRORS
from transcription.api.openai.errors import PREFIX
from transcription.api.openai.form import SPEAKER_NAMES, Form, read_form
from transcription.api.openai.parameters import as_boolean, as_choice, as_parameters
from transcription.api.openai.schemas import DiarizationAnswer
from transcription.api.parameters.parsing import FILE
from transcription.api.parameters.transcription import TranscriptionParameters
from transcription.api.recording import upload_in
from transcription.api.route_facts import route_facts
from transcription.core.cancellation import cancel_on_disconnect
from transcription.core.errors import InvalidParameter
from transcription.core.speakers import SpeakerTurns
from transcription.media.intake.upload import Upload

COUNTS = ("num_speakers", "min_speakers", "max_speakers")
SOUND = ("audio_track", "channel")
OURS = (*COUNTS, "speaker_labels", *SOUND)
INCLUDE_TEXT = "include_text"
# Of LocalAI, where backends ignore them as well; `model` because there is one.
IGNORED = ("model", "language", "clustering_threshold", "min_duration_on", "min_duration_off")
NAMES = frozenset({*OURS, *IGNORED, *SPEAKER_NAMES, INCLUDE_TEXT, "response_format"})


class TurnsFormat(StrEnum):
    """The values of `response_format`."""

    JSON = "json"
    VERBOSE_JSON = "verbose_json"
    RTTM = "rttm"


_SCHEMAS = field_schemas(TranscriptionParameters)
BODY = multipart_body(
    "DiarizationForm",
    {
        FILE: file_schema("The recording, as for POST /transcribe."),
        "model": {"type": "string", "description": "Accepted for LocalAI's and speaches' clients; any name."},
        "response_format": {**enumeration("TurnsFormat", TurnsFormat), "default": TurnsFormat.JSON},
        **{name: {**_SCHEMAS[name], "minimum": 0} for name in COUNTS},
        **{name: _SCHEMAS[name] for name in OURS if name not in COUNTS},
        **KNOWN_SCHEMAS,
    },
    required=[FILE],
)
RESPONSES: Responses = {
    200: {
        "model": DiarizationAnswer,
        "description": "Who speaks when, in the requested format",
        "content": {
            ResponseFormat.RTTM.record.media_type: {
                "schema": {"type": "string", "description": "response_format is rttm."}
            }
        },
    }
}

router = APIRouter(prefix=PREFIX, tags=["openai"], responses=ERRORS)


@router.post(
    "/audio/diarization",
    summary="Tell speakers apart (LocalAI's and speaches' API)",
    operation_id="create_diarization",
    response_class=Response,
    responses=RESPONSES,
    openapi_extra={"requestBody": BODY},
)
@route_facts(upload=True)
async def diarization(request: Request, backend: BackendDependency) -> Response:
    """Say who speaks when, without a transcript. Of the counts, 0 means that it is not known."""

    async def respond(received: Upload) -> Response:
        upload = replace(received, lenient=True)
        form = read_form(upload.fields, NAMES)
        chosen = as_choice(TurnsFormat, form.singles.get("response_format", TurnsFormat.JSON), "response_format")
        parameters = _parameters(form)
        samples = samples_of(*(form.list_of(name) for name in SPEAKER_NAMES))
        parameters.to_request(backend.settings, known=unheard(samples))
        known = await known_voices(samples, backend)
        options = parameters.to_request(backend.settings, known=known)
        assert options.speakers is not None
        work = backend.pipeline.diarize(upload, options.speakers, options.sound)
        rendered = render(await cancel_on_disconnect(request.receive, work), chosen)
        return rendered_response(rendered, await name_header(upload, backend.settings))

    return await answer_recording(backend, upload_in(request, backend.settings), respond)


def _parameters(form: Form) -> TranscriptionParameters:
    if as_boolean(form.singles.get(INCLUDE_TEXT, "false"), INCLUDE_TEXT):
        raise InvalidParameter(
            f"The text is answered by {PREFIX}/audio/transcriptions with response_format=diarized_json.",
            parameter=INCLUDE_TEXT,
        )
    given = {name: form.singles[name] for name in OURS if name in form.singles}
    known = {name: value for name, value in given.items() if not (name in COUNTS and value.strip() == "0")}
    return as_parameters({"diarize": True, **known})


def render(found: SpeakerTurns, chosen: TurnsFormat) -> Rendered:
    """The turns in the requested format."""
    if chosen is TurnsFormat.RTTM:
        return Rendered(render_rttm(found), ResponseFormat.RTTM.record.content_type)
    verbose = chosen is TurnsFormat.VERBOSE_JSON
    return Rendered(render_json(found, verbose=verbose), ResponseFormat.JSON.record.content_type)
