"""The layout of subtitles as request parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from formats.registry import ResponseFormat
from formats.subtitles.layout import SubtitleLayout
from transcription.core.errors import InvalidParameter

MAX_VERSION = 2**31 - 1
MAX_CHARACTERS = 500
MAX_LINES = 10
MAX_WORDS = 100
MAX_CUE_DURATION = 600.0  # seconds
MIN_CUE_DURATION = 0.5  # seconds; the lowest value of max_cue_duration
MAX_GAP = 10.0  # seconds
MAX_CHARACTERS_PER_SECOND = 200.0


VersionNumber = Annotated[int | None, Field(ge=0, le=MAX_VERSION)]


class LayoutParameters(BaseModel):
    """The layout of srt, vtt, tsv and lrc. The descriptions appear in the API document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_line_width: int | None = Field(
        None, ge=5, le=MAX_CHARACTERS, description="Subtitles: maximum characters per line.", examples=[42]
    )
    max_line_count: int | None = Field(
        None,
        ge=1,
        le=MAX_LINES,
        description="Subtitles: maximum lines per cue; default 2 with max_line_width, 1 with max_words_per_line alone.",
        examples=[2],
    )
    max_words_per_line: int | None = Field(
        None, ge=1, le=MAX_WORDS, description="Subtitles: maximum words per line.", examples=[8]
    )
    max_cue_duration: float | None = Field(
        None,
        ge=MIN_CUE_DURATION,
        le=MAX_CUE_DURATION,
        description="Subtitles: maximum duration of a cue, in seconds.",
        examples=[7],
    )
    min_gap: float = Field(
        0.0, ge=0, le=MAX_GAP, description="Subtitles: minimum gap between two cues, in seconds.", examples=[0.083]
    )
    highlight_words: bool = Field(
        False, description="Subtitles, srt and vtt only: one cue per word, with that word underlined."
    )
    max_chars_per_second: float | None = Field(
        None,
        ge=1,
        le=MAX_CHARACTERS_PER_SECOND,
        description="Subtitles: a cue with more characters per second is counted in the X-Subtitle-Warnings header and "
        "noted in vtt. It is not changed.",
        examples=[20],
    )

    def requested_layout(self, kept: SubtitleLayout | None = None) -> SubtitleLayout | None:
        """The requested layout. kept: the layout of a job, for missing parameters. None for no layout."""
        given = {name: getattr(self, name) for name in LAYOUT_NAMES & self.model_fields_set}
        return replace(kept or SubtitleLayout(), **given) if given else kept

    def to_layout(self, kept: SubtitleLayout | None = None) -> SubtitleLayout | None:
        """The requested layout, validated as a whole. Raises InvalidParameter if parameters contradict each other."""
        layout = self.requested_layout(kept)
        if layout and layout.max_line_count and not (layout.max_line_width or layout.max_words_per_line):
            raise InvalidParameter(
                "'max_line_count' has no effect unless lines are broken. Send 'max_line_width' or 'max_words_per_line'."
            )
        return layout


LAYOUT_NAMES = frozenset(LayoutParameters.model_fields)


class ResultParameters(LayoutParameters):
    """The query parameters of GET /jobs/{id}/result."""

    response_format: ResponseFormat | None = Field(None, description="Any format; by default that of the submission.")
    version: VersionNumber = Field(
        None,
        description="A version of the transcript: 0 is what was transcribed. By default the present one.",
    )
