"""The formats of a transcript, each one record, and `render`, which writes a transcript in one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Self

from formats import json, rttm, text, verbose_json
from formats.subtitles import lrc, srt, tsv, vtt
from formats.subtitles.cues import Naming
from formats.subtitles.layout import SubtitleLayout, has_word_times, is_fast, lay_out
from transcription.core.errors import InvalidParameter, WrongJobState
from transcription.core.transcript import Transcript


class Kind(Enum):
    """The extent to which a format supports subtitle layouts."""

    DOCUMENT = auto()  # nothing: it has no cues
    LINES = auto()  # cues of one line, without markup
    CUES = auto()  # cues of several lines, with underlined words


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    name: the value of `response_format`. title: the name shown on the web page.
    content_type: the Content-Type header, with its charset. ending: of file names, with its leading dot.
    write: the file's text. A layout of None keeps the segments as cues; documents ignore the layout.
    naming: how it writes a speaker's name into the text of a cue; None if it does not.
    """

    name: str
    title: str
    content_type: str
    ending: str
    kind: Kind
    write: Callable[[Transcript, SubtitleLayout | None], str]
    naming: Naming | None = None

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters."""
        return self.content_type.partition(";")[0]


def _document(write: Callable[[Transcript], str]) -> Callable[[Transcript, SubtitleLayout | None], str]:
    return lambda transcript, _: write(transcript)


class ResponseFormat(StrEnum):
    """The values of `response_format`. Each member's `record` is the format it names."""

    record: Format

    def __new__(cls, record: Format | str) -> Self:
        assert isinstance(record, Format)  # str is there for type checkers: ResponseFormat("srt") never comes here
        member = str.__new__(cls, record.name)
        member._value_ = record.name
        member.record = record
        return member

    JSON = Format("json", "JSON", "application/json", ".json", Kind.DOCUMENT, _document(json.render))
    TEXT = Format("text", "Text", "text/plain; charset=utf-8", ".txt", Kind.DOCUMENT, _document(text.render))
    SRT = Format(
        "srt", "SRT subtitles", "application/x-subrip; charset=utf-8", ".srt", Kind.CUES, srt.render, srt.named
    )
    VTT = Format("vtt", "WebVTT subtitles", "text/vtt; charset=utf-8", ".vtt", Kind.CUES, vtt.render)
    TSV = Format("tsv", "TSV", "text/tab-separated-values; charset=utf-8", ".tsv", Kind.LINES, tsv.render)
    # LRC has no registered media type; text/plain is what players and browsers open.
    LRC = Format("lrc", "LRC lyrics", "text/plain; charset=utf-8", ".lrc", Kind.LINES, lrc.render, lrc.named)
    # RTTM has no registered media type either.
    RTTM = Format(
        *("rttm", "RTTM speaker turns", "text/plain; charset=utf-8", ".rttm"),
        *(Kind.DOCUMENT, _document(rttm.render)),
    )
    # Last, and so first in the API document: generated clients read the first media type of an answer.
    VERBOSE_JSON = Format(
        *("verbose_json", "JSON with all details", "application/json", ".verbose.json"),
        *(Kind.DOCUMENT, _document(verbose_json.render)),
    )


@dataclass(frozen=True, slots=True)
class Rendered:
    """A response body and its Content-Type.

    fast_cues: the number of cues faster than `SubtitleLayout.max_chars_per_second`; None if not requested.
    """

    body: str
    content_type: str
    fast_cues: int | None = None


def check_layout(layout: SubtitleLayout | None, response_format: ResponseFormat) -> None:
    """Raise InvalidParameter if the format does not support an option of the layout."""
    if layout is None:
        return
    kind = response_format.record.kind
    if kind is Kind.DOCUMENT:
        subtitles = [each for each in ResponseFormat if each.record.kind is not Kind.DOCUMENT]
        raise InvalidParameter(
            f"The layout of subtitles has no effect on response_format={response_format}. Send "
            f"{', '.join(subtitles[:-1])} or {subtitles[-1]}, or leave the layout out."
        )
    if kind is Kind.LINES and layout.highlight_words:
        raise InvalidParameter(f"'highlight_words' needs srt or vtt: {response_format} cannot underline words.")
    if kind is Kind.LINES and (layout.max_line_count or 1) > 1:
        raise InvalidParameter(f"{response_format} has one line per cue. Send max_line_count=1 or leave it out.")


def render(transcript: Transcript, response_format: ResponseFormat, layout: SubtitleLayout | None = None) -> Rendered:
    """The transcript in a format. Options of the layout that it does not support are ignored; see `check_layout`.

    Raises WrongJobState if words are to be highlighted and the transcript has no word times.
    """
    record = response_format.record
    if record.kind is Kind.DOCUMENT or layout is None:
        return Rendered(record.write(transcript, None), record.content_type)
    if record.kind is Kind.LINES:
        layout = layout.one_line()
    if layout.highlight_words and not has_word_times(transcript):
        raise WrongJobState(
            "The words of this transcript have no times, so 'highlight_words' cannot mark them. Submit the recording "
            "again with highlight_words=true or timestamp_granularity=word."
        )
    fast_cues = None
    if layout.max_chars_per_second is not None:
        fast_cues = sum(is_fast(cue, layout) for cue in lay_out(transcript, layout, record.naming))
    return Rendered(record.write(transcript, layout), record.content_type, fast_cues)
