"""Transcripts as bytes on the wire: one pure function a format, and the table that finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from formats import json, text, verbose_json
from formats.subtitles import lrc, srt, tsv, vtt
from formats.subtitles.layout import SubtitleLayout, has_words, is_fast, laid_out
from transcription.core.errors import InvalidParameter, WrongJobState
from transcription.core.transcript import Transcript


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
    """A response body and its Content-Type.

    fast_cues: how many cues are faster than `SubtitleLayout.max_chars_per_second`; None when nobody asked.
    """

    body: str
    content_type: str
    fast_cues: int | None = None


# LRC has no registered media type; text/plain is what players and browsers open.
_CONTENT_TYPES = {
    ResponseFormat.JSON: "application/json",
    ResponseFormat.TEXT: "text/plain; charset=utf-8",
    ResponseFormat.SRT: "application/x-subrip; charset=utf-8",
    ResponseFormat.VTT: "text/vtt; charset=utf-8",
    ResponseFormat.TSV: "text/tab-separated-values; charset=utf-8",
    ResponseFormat.LRC: "text/plain; charset=utf-8",
    ResponseFormat.VERBOSE_JSON: "application/json",
}
_DOCUMENTS: dict[ResponseFormat, Callable[[Transcript], str]] = {
    ResponseFormat.JSON: json.render,
    ResponseFormat.TEXT: text.render,
    ResponseFormat.VERBOSE_JSON: verbose_json.render,
}
_SUBTITLES: dict[ResponseFormat, Callable[[Transcript, SubtitleLayout | None], str]] = {
    ResponseFormat.SRT: srt.render,
    ResponseFormat.VTT: vtt.render,
    ResponseFormat.TSV: tsv.render,
    ResponseFormat.LRC: lrc.render,
}
ONE_LINE = frozenset({ResponseFormat.TSV, ResponseFormat.LRC})  # and no markup


def content_type(response_format: ResponseFormat) -> str:
    """The Content-Type of a format."""
    return _CONTENT_TYPES[response_format]


def check_layout(layout: SubtitleLayout | None, response_format: ResponseFormat) -> None:
    """Raises InvalidParameter when a format cannot show what the layout asks for."""
    if layout is None:
        return
    if response_format in _DOCUMENTS:
        raise InvalidParameter(
            f"The layout of subtitles has no effect on response_format={response_format.value}. Send srt, vtt, tsv or "
            "lrc, or leave the layout out."
        )
    if response_format in ONE_LINE and layout.highlight_words:
        raise InvalidParameter(f"'highlight_words' needs srt or vtt: {response_format.value} knows no underlining.")
    if response_format in ONE_LINE and (layout.max_line_count or 1) > 1:
        raise InvalidParameter(f"{response_format.value} has one line a cue. Send max_line_count=1 or leave it out.")


def render(transcript: Transcript, response_format: ResponseFormat, layout: SubtitleLayout | None = None) -> Rendered:
    """The transcript in the format asked for. What the format cannot show of the layout is left out: `check_layout`.

    Raises WrongJobState when words are to be highlighted and the transcript does not know their times.
    """
    media_type = content_type(response_format)
    if response_format in _DOCUMENTS:
        return Rendered(_DOCUMENTS[response_format](transcript), media_type)
    if layout and response_format in ONE_LINE:
        layout = layout.one_line()
    if layout and layout.highlight_words and not has_words(transcript):
        raise WrongJobState(
            "The words of this transcript have no times, so 'highlight_words' cannot mark them. Submit the recording "
            "again with highlight_words=true or timestamp_granularity=word."
        )
    fast = None
    if layout and layout.max_chars_per_second is not None:
        fast = sum(is_fast(cue, layout) for cue in laid_out(transcript, layout))
    return Rendered(_SUBTITLES[response_format](transcript, layout), media_type, fast)
