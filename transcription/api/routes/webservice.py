"""POST /asr and POST /detect-language, as whisper-asr-webservice has them: Bazarr and others speak that.

As there, parameters come in the query, and those that are not known mean nothing: clients send some of their own.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from formats import registry
from formats.registry import Rendered, ResponseFormat
from formats.subtitles.layout import SubtitleLayout
from formats.webservice import render_json, render_text
from transcription.api.admission import check_room
from transcription.api.dependencies import Backend, BackendDependency
from transcription.api.disconnect import while_connected
from transcription.api.documentation import TRANSCRIBE_PARAMETERS, error_responses
from transcription.api.errors import KINDS
from transcription.api.layout_parameters import LAYOUT_NAMES, warning_headers
from transcription.api.parameters import Granularity, TranscriptionParameters, parse_parameters
from transcription.api.recording import upload_in
from transcription.api.routes.transcription import CACHE_STATUS, in_time, is_private
from transcription.core.errors import (
    AudioTooLong,
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
from transcription.core.options import Task, Ticket, TranscriptionRequest
from transcription.core.transcript import Transcript
from transcription.media.intake.containers import HEAD_OF_RAW_PCM
from transcription.media.intake.upload import Upload
from transcription.telemetry.logs import current_request_id, metadata_of
from transcription.telemetry.tracing import FORMAT, UPLOAD, traced

FILE = "audio_file"
ENGINE = "faster_whisper"
PLAIN = "text/plain; charset=utf-8"  # of every output, as there
UNDETERMINED = "undetermined"

BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FILE],
                "properties": {FILE: {"type": "string", "format": "binary"}},
            }
        }
    },
}
REFUSALS = error_responses(
    [
        KINDS[error]
        for error in (
            *(UnsupportedFormat, UploadTooSlow, FileTooLarge, AudioTooLong, UndecodableMedia, NoAudioStream),
            *(TooManyUploads, ServiceUnavailable, ModelUnavailable),
        )
    ]
)

LAYOUT_PARAMETERS = [parameter for parameter in TRANSCRIBE_PARAMETERS if parameter["name"] in LAYOUT_NAMES]

router = APIRouter(tags=["whisper-asr-webservice"], responses=REFUSALS)
log = structlog.get_logger(__name__)


class Output(StrEnum):
    """What `output` takes. Its documentation says text, its program txt."""

    TXT = "txt"
    TEXT = "text"
    VTT = "vtt"
    SRT = "srt"
    TSV = "tsv"
    JSON = "json"


AS_OURS = {
    Output.TXT: ResponseFormat.TEXT,
    Output.TEXT: ResponseFormat.TEXT,
    Output.VTT: ResponseFormat.VTT,
    Output.SRT: ResponseFormat.SRT,
    Output.TSV: ResponseFormat.TSV,
    Output.JSON: ResponseFormat.JSON,
}


class DetectedLanguage(BaseModel):
    """What is spoken."""

    detected_language: str = Field(examples=["english"])
    language_code: str = Field(examples=["en"], description="und when nobody speaks.")
    confidence: float = Field(examples=[0.98])


Encode = Annotated[
    bool, Query(description="false: the file is headerless 16-bit little-endian PCM, 16 kHz, mono.", examples=[True])
]


@router.post("/asr", response_class=Response, openapi_extra={"requestBody": BODY, "parameters": LAYOUT_PARAMETERS})
async def asr(
    request: Request,
    backend: BackendDependency,
    encode: Encode = True,
    task: Task = Task.TRANSCRIBE,
    language: Annotated[str, Query(description="Code or English name; detected when empty.")] = "",
    initial_prompt: str = "",
    vad_filter: Annotated[bool, Query(description="Leave out what is not speech.")] = False,
    word_timestamps: bool = False,
    output: Output = Output.TXT,
) -> Response:
    """Transcribe a recording. The answer is a file of text/plain, whatever `output` is."""
    layout = [(name, value) for name, value in request.query_params.multi_items() if name in LAYOUT_NAMES]
    parameters = parse_parameters(
        [
            ("task", task),
            ("language", language),
            ("initial_prompt", initial_prompt),
            ("vad_filter", str(vad_filter)),
            ("timestamp_granularity", Granularity.WORD if word_timestamps else Granularity.SEGMENT),
            ("response_format", AS_OURS[output]),
            *layout,
        ]
    )
    return await in_time(_transcribe(request, backend, parameters, output, encode=encode), backend.settings)


@router.post("/detect-language", response_model=DetectedLanguage, openapi_extra={"requestBody": BODY})
async def detect_language(request: Request, backend: BackendDependency, encode: Encode = True) -> Response:
    """The language of the first window with speech, at most 30 s."""
    wanted = TranscriptionParameters().to_request(backend.settings)
    return await in_time(_detect(request, backend, wanted, encode=encode), backend.settings)


async def _transcribe(
    request: Request, backend: Backend, parameters: TranscriptionParameters, output: Output, *, encode: bool
) -> Response:
    wanted, layout = parameters.to_request(backend.settings), parameters.checked_layout()
    check_room(backend.settings)
    async with AsyncExitStack() as stack:
        upload = await _receive(request, backend, stack, encode=encode)
        work = backend.transcriber.transcribe(upload, wanted, Ticket(current_request_id()), is_private(request))
        transcript, source = await while_connected(request, work)
    log.info("transcribed", source=source.value, metadata=metadata_of(transcript, upload.size))
    with traced(FORMAT):
        rendered = await asyncio.to_thread(render, transcript, output, layout)
    headers = {
        "Content-Type": PLAIN,
        "Asr-Engine": ENGINE,
        "Content-Disposition": f'attachment; filename="{quote(upload.filename)}.{output}"',
        "Cache-Status": CACHE_STATUS[source],
    }
    return Response(rendered.body, headers=headers | warning_headers(rendered))


def render(transcript: Transcript, output: Output, layout: SubtitleLayout | None) -> Rendered:
    """The transcript as it comes from there; its subtitles are ours."""
    if output is Output.JSON:
        return Rendered(render_json(transcript), PLAIN)
    if output in (Output.TXT, Output.TEXT):
        return Rendered(render_text(transcript), PLAIN)
    return registry.render(transcript, AS_OURS[output], layout)


async def _detect(request: Request, backend: Backend, wanted: TranscriptionRequest, *, encode: bool) -> Response:
    check_room(backend.settings)
    async with AsyncExitStack() as stack:
        upload = await _receive(request, backend, stack, encode=encode)
        work = backend.pipeline.detect_language(upload, wanted, Ticket(current_request_id()))
        detection = await while_connected(request, work)
    answer = DetectedLanguage(
        detected_language=LANGUAGES.get(detection.language, UNDETERMINED).lower(),
        language_code=detection.language,
        confidence=detection.probability,
    )
    return JSONResponse(answer.model_dump())


async def _receive(request: Request, backend: Backend, stack: AsyncExitStack, *, encode: bool) -> Upload:
    """The recording, until the stack ends."""
    head = b"" if encode else HEAD_OF_RAW_PCM
    with traced(UPLOAD):
        upload = await stack.enter_async_context(upload_in(request, backend.settings, field=FILE, head=head))
    # Raw samples are what we made of them, whatever they are called.
    return upload if encode else replace(upload, filename=upload.filename and "raw", content_type="")
