"""Transcripts as bytes on the wire: one pure function a format, and the table that finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from formats import json, lrc, srt, text, tsv, verbose_json, vtt
from transcript import Transcript


class ResponseFormat(StrEnum):
    """What `response_format` takes."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"
    TSV = "tsv"
    LRC = "lrc"
    VERBOSE_JSON = "verbose_json"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A response body and its Content-Type."""

    body: str
    content_type: str


# LRC has no registered media type; text/plain is what players and browsers open.
_FORMATS: dict[ResponseFormat, tuple[Callable[[Transcript], str], str]] = {
    ResponseFormat.JSON: (json.render, "application/json"),
    ResponseFormat.TEXT: (text.render, "text/plain; charset=utf-8"),
    ResponseFormat.SRT: (srt.render, "application/x-subrip; charset=utf-8"),
    ResponseFormat.VTT: (vtt.render, "text/vtt; charset=utf-8"),
    ResponseFormat.TSV: (tsv.render, "text/tab-separated-values; charset=utf-8"),
    ResponseFormat.LRC: (lrc.render, "text/plain; charset=utf-8"),
    ResponseFormat.VERBOSE_JSON: (verbose_json.render, "application/json"),
}


def content_type(response_format: ResponseFormat) -> str:
    """The Content-Type of a format."""
    return _FORMATS[response_format][1]


def render(transcript: Transcript, response_format: ResponseFormat) -> Rendered:
    """The transcript in the format asked for."""
    function, media_type = _FORMATS[response_format]
    return Rendered(function(transcript), media_type)
