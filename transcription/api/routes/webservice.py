"""POST /asr and POST /detect-language, as whisper-asr-webservice has them: Bazarr and others speak that.

As there, parameters come in the query, and those that are not known mean nothing: clients send some of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from formats import registry
from formats.registry import Rendered, ResponseFormat
from formats.subtitles.layout import SubtitleLayout
from formats.webservice import render_json, render_text
from transcription.api.answer import answer_recording, answer_transcript, while_connected
from transcription.api.dependencies import Backend, BackendDependency
from transcription.api.documentation import TRANSCRIBE_PARAMETERS, error_responses
from transcription.api.errors import KINDS
from transcription.api.layout_parameters import LAYOUT_NAMES
from transcription.api.parameters import Granularity, TranscriptionParameters, parse_parameters
from transcription.api.recording import upload_in
from transcription.api.route_facts import route_facts
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
from transcription.core.options import Task, Ticket
from transcription.core.transcript import Transcript
from transcription.media.intake.containers import HEAD_OF_RAW_PCM
from transcription.media.intake.upload import Upload
from transcription.telemetry.logs import current_request_id

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


def asr_parameters(
    request: Request,
    task: Task = Task.TRANSCRIBE,
    language: Annotated[str, Query(description="Code or English name; detected when empty.")] = "",
    initial_prompt: str = "",
    vad_filter: Annotated[bool, Query(description="Leave out what is not speech.")] = False,
    word_timestamps: bool = False,
    output: Output = Output.TXT,
) -> TranscriptionParameters:
    """The query of /asr in the terms of POST /transcribe. Raises InvalidParameter."""
    return parse_parameters(
        [
            ("task", task),
            ("language", language),
            ("initial_prompt", initial_prompt),
            ("vad_filter", str(vad_filter)),
            ("timestamp_granularity", Granularity.WORD if word_timestamps else Granularity.SEGMENT),
            ("response_format", AS_OURS[output]),
            *((name, value) for name, value in request.query_params.multi_items() if name in LAYOUT_NAMES),
        ]
    )


@router.post("/asr", response_class=Response, openapi_extra={"requestBody": BODY, "parameters": LAYOUT_PARAMETERS})
@route_facts(upload=True)
async def asr(
    request: Request,
    backend: BackendDependency,
    parameters: Annotated[TranscriptionParameters, Depends(asr_parameters)],
    encode: Encode = True,
    output: Output = Output.TXT,
) -> Response:
    """Transcribe a recording. The answer is a file of text/plain, whatever `output` is."""
    wanted, layout = parameters.to_request(backend.settings), parameters.checked_layout()

    async def respond(upload: Upload) -> Response:
        write = partial(render, output=output, layout=layout)
        return await answer_transcript(request, backend, upload, wanted, write, file_headers(upload, output))

    return await answer_recording(request, backend, audio_file(request, backend, encode=encode), respond)


def file_headers(upload: Upload, output: Output) -> dict[str, str]:
    """The transcript as a file to download, named after the recording."""
    return {
        "Content-Type": PLAIN,
        "Asr-Engine": ENGINE,
        "Content-Disposition": f'attachment; filename="{quote(upload.filename)}.{output}"',
    }


@router.post("/detect-language", response_model=DetectedLanguage, openapi_extra={"requestBody": BODY})
@route_facts(upload=True)
async def detect_language(request: Request, backend: BackendDependency, encode: Encode = True) -> Response:
    """The language of the first window with speech, at most 30 s."""
    wanted = TranscriptionParameters().to_request(backend.settings)

    async def respond(upload: Upload) -> Response:
        work = backend.pipeline.detect_language(upload, wanted, Ticket(current_request_id()))
        detected = await while_connected(request, work)
        answer = DetectedLanguage(
            detected_language=LANGUAGES.get(detected.language, UNDETERMINED).lower(),
            language_code=detected.language,
            confidence=detected.probability,
        )
        return JSONResponse(answer.model_dump())

    return await answer_recording(request, backend, audio_file(request, backend, encode=encode), respond)


def render(transcript: Transcript, output: Output, layout: SubtitleLayout | None) -> Rendered:
    """The transcript as it comes from there; its subtitles are ours."""
    if output is Output.JSON:
        return Rendered(render_json(transcript), PLAIN)
    if output in (Output.TXT, Output.TEXT):
        return Rendered(render_text(transcript), PLAIN)
    return registry.render(transcript, AS_OURS[output], layout)


@asynccontextmanager
async def audio_file(request: Request, backend: Backend, *, encode: bool) -> AsyncIterator[Upload]:
    """The recording in the request's body, while the context lasts. encode: it is a file, not raw PCM."""
    head = b"" if encode else HEAD_OF_RAW_PCM
    async with upload_in(request, backend.settings, field=FILE, head=head) as upload:
        # Raw samples were given a WAV header above; the name and the type that the client sent no longer fit.
        yield upload if encode else replace(upload, filename=upload.filename and "raw", content_type="")
