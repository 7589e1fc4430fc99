"""POST /asr and POST /detect-language, compatible with whisper-asr-webservice, for Bazarr and other clients of it.

As in that service, parameters are in the query, and unknown ones are ignored, because clients send some of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from formats import registry
from formats.registry import Rendered, ResponseFormat
from formats.subtitles.layout import SubtitleLayout
from formats.webservice import render_json, render_text
from transcription.api.answer import answer_recording, answer_transcript, name_header
from transcription.api.caller import ticket_of
from transcription.api.dependencies import Backend, BackendDependency
from transcription.api.documentation import error_responses, field_schemas, file_schema, multipart_body, query_parameter
from transcription.api.parameters.parsing import parse_parameters
from transcription.api.parameters.speakers import SPEAKER_NAMES
from transcription.api.parameters.subtitles import LAYOUT_NAMES
from transcription.api.parameters.transcription import Granularity, TranscriptionParameters
from transcription.api.recording import upload_in
from transcription.api.route_facts import route_facts
from transcription.core.cancellation import cancel_on_disconnect
from transcription.core.errors import (
    AudioTooLong,
    DecoderFailed,
    FileTooLarge,
    ModelUnavailable,
    NoAudioStream,
    ServiceUnavailable,
    TooManyUploads,
    UndecodableMedia,
    UnsupportedFormat,
    UploadTooSlow,
)
from transcription.core.languages import LANGUAGES
from transcription.core.options import Task
from transcription.core.transcript import Transcript
from transcription.media.intake.containers import HEAD_OF_RAW_PCM
from transcription.media.intake.upload import Upload

FILE = "audio_file"
ENGINE = "faster_whisper"
PLAIN_TEXT = ResponseFormat.TEXT.record.content_type  # whatever `output` is, as whisper-asr-webservice does it
MEDIA_TYPE = ResponseFormat.TEXT.record.media_type
UNDETERMINED = "undetermined"

BODY = multipart_body("AudioFileForm", {FILE: file_schema()}, required=[FILE])
SOUND_NAMES = frozenset({"audio_track", "channel"})
EXTENSIONS = LAYOUT_NAMES | SOUND_NAMES
_SCHEMAS = field_schemas(TranscriptionParameters)
SOUND_PARAMETERS = [query_parameter(name, schema) for name, schema in _SCHEMAS.items() if name in SOUND_NAMES]
COUNTS = SPEAKER_NAMES - {"diarize"}  # ignored without `diarize`, as there
EXTENSION_PARAMETERS = [
    query_parameter(name, schema) for name, schema in _SCHEMAS.items() if name in EXTENSIONS | COUNTS
]
ERRORS = error_responses(
    *(UnsupportedFormat, UploadTooSlow, FileTooLarge, AudioTooLong, UndecodableMedia, NoAudioStream, DecoderFailed),
    *(TooManyUploads, ServiceUnavailable, ModelUnavailable),
)

router = APIRouter(tags=["whisper-asr-webservice"], responses=ERRORS)


class Output(StrEnum):
    """The values of `output`. whisper-asr-webservice documents text and implements txt."""

    TXT = "txt"
    TEXT = "text"
    VTT = "vtt"
    SRT = "srt"
    TSV = "tsv"
    JSON = "json"


RESPONSE_FORMATS = {
    Output.TXT: ResponseFormat.TEXT,
    Output.TEXT: ResponseFormat.TEXT,
    Output.VTT: ResponseFormat.VTT,
    Output.SRT: ResponseFormat.SRT,
    Output.TSV: ResponseFormat.TSV,
    Output.JSON: ResponseFormat.JSON,
}


class DetectedLanguage(BaseModel):
    """The language that is spoken."""

    detected_language: str = Field(examples=["english"])
    language_code: str = Field(examples=["en"], description="und if there is no speech.")
    confidence: float = Field(examples=[0.98])


Encode = Annotated[
    bool, Query(description="false: the file is headerless 16-bit little-endian PCM, 16 kHz mono.", examples=[True])
]


def asr_parameters(
    request: Request,
    task: Task = Task.TRANSCRIBE,
    language: Annotated[
        str, Query(description="Code, English name or tag such as en-US or zh-Hant; detected if empty or auto.")
    ] = "",
    initial_prompt: str = "",
    vad_filter: Annotated[bool, Query(description="Skip parts without speech.")] = False,
    word_timestamps: bool = False,
    diarize: Annotated[bool, Query(description="Tell the speakers apart.")] = False,
    output: Output = Output.TXT,
) -> TranscriptionParameters:
    """The query of /asr as the parameters of POST /transcribe. Raises InvalidParameter."""
    names = EXTENSIONS | COUNTS if diarize else EXTENSIONS
    return parse_parameters(
        [
            ("task", task),
            ("language", language),
            ("initial_prompt", initial_prompt),
            ("vad_filter", str(vad_filter)),
            ("timestamp_granularity", Granularity.WORD if word_timestamps else Granularity.SEGMENT),
            ("response_format", RESPONSE_FORMATS[output]),
            ("diarize", str(diarize)),
            *((name, value) for name, value in request.query_params.multi_items() if name in names),
        ]
    )


@router.post(
    "/asr",
    operation_id="asr",
    response_class=Response,
    responses={200: {"description": "The transcript", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
    openapi_extra={"requestBody": BODY, "parameters": EXTENSION_PARAMETERS},
)
@route_facts(upload=True)
async def asr(
    request: Request,
    backend: BackendDependency,
    parameters: Annotated[TranscriptionParameters, Depends(asr_parameters)],
    encode: Encode = True,
    output: Output = Output.TXT,
) -> Response:
    """Transcribe a recording. The answer is a file with the media type text/plain, regardless of `output`."""
    options, layout = parameters.to_request(backend.settings), parameters.checked_layout()

    async def respond(upload: Upload) -> Response:
        write = partial(render, output=output, layout=layout)
        return await answer_transcript(request, backend, upload, options, write, file_headers(upload, output))

    return await answer_recording(backend, audio_file(request, backend, encode=encode), respond)


def file_headers(upload: Upload, output: Output) -> dict[str, str]:
    """The headers that make the transcript a download, named after the recording."""
    return {
        "Content-Type": PLAIN_TEXT,
        "Asr-Engine": ENGINE,
        "Content-Disposition": f'attachment; filename="{quote(upload.filename)}.{output}"',
    }


@router.post(
    "/detect-language",
    operation_id="detect_language",
    response_model=DetectedLanguage,
    openapi_extra={"requestBody": BODY, "parameters": SOUND_PARAMETERS},
)
@route_facts(upload=True)
async def detect_language(request: Request, backend: BackendDependency, encode: Encode = True) -> Response:
    """Detect the language from the first window with speech, at most 30 s."""
    sound = [(name, value) for name, value in request.query_params.multi_items() if name in SOUND_NAMES]
    options = parse_parameters(sound).to_request(backend.settings)

    async def respond(upload: Upload) -> Response:
        work = backend.pipeline.detect_language(upload, options, ticket_of(request, backend.settings))
        detected = await cancel_on_disconnect(request.receive, work)
        answer = DetectedLanguage(
            detected_language=LANGUAGES.get(detected.language, UNDETERMINED).lower(),
            language_code=detected.language,
            confidence=detected.probability,
        )
        return JSONResponse(answer.model_dump(), headers=await name_header(upload, backend.settings))

    return await answer_recording(backend, audio_file(request, backend, encode=encode), respond)


def render(transcript: Transcript, output: Output, layout: SubtitleLayout | None) -> Rendered:
    """JSON and text as whisper-asr-webservice writes them; subtitles as POST /transcribe writes them."""
    if output is Output.JSON:
        return Rendered(render_json(transcript), PLAIN_TEXT)
    if output in (Output.TXT, Output.TEXT):
        return Rendered(render_text(transcript), PLAIN_TEXT)
    return registry.render(transcript, RESPONSE_FORMATS[output], layout)


@asynccontextmanager
async def audio_file(request: Request, backend: Backend, *, encode: bool) -> AsyncIterator[Upload]:
    """The recording in the request's body, while the context lasts. encode: it is an encoded file, not raw PCM."""
    head = b"" if encode else HEAD_OF_RAW_PCM
    async with upload_in(request, backend.settings, field=FILE, head=head) as upload:
        # Raw samples got a WAV header above, so the name and the type that the client sent no longer apply.
        named = upload if encode else replace(upload, filename=upload.filename and "raw", content_type="")
        yield replace(named, lenient=True)
