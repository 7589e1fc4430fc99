"""How subtitles are laid out, as request parameters."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from formats.registry import ResponseFormat
from formats.subtitles.layout import SubtitleLayout
from transcription.core.errors import InvalidParameter

MOST_CHARACTERS = 500
MOST_LINES = 10
MOST_WORDS = 100
LONGEST_CUE = 600.0  # seconds
SHORTEST_CUE = 0.5
WIDEST_GAP = 10.0  # seconds
MOST_CHARACTERS_A_SECOND = 200.0


class LayoutParameters(BaseModel):
    """The layout of srt, vtt, tsv and lrc. The fields' descriptions are the API document's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_line_width: int | None = Field(
        None, ge=5, le=MOST_CHARACTERS, description="Subtitles: most characters in a line.", examples=[42]
    )
    max_line_count: int | None = Field(
        None,
        ge=1,
        le=MOST_LINES,
        description="Subtitles: most lines in a cue; 2 with max_line_width, 1 with max_words_per_line alone.",
        examples=[2],
    )
    max_words_per_line: int | None = Field(
        None, ge=1, le=MOST_WORDS, description="Subtitles: most words in a line.", examples=[8]
    )
    max_cue_duration: float | None = Field(
        None, ge=SHORTEST_CUE, le=LONGEST_CUE, description="Subtitles: most seconds that a cue lasts.", examples=[7]
    )
    min_gap: float = Field(
        0.0, ge=0, le=WIDEST_GAP, description="Subtitles: least seconds between two cues.", examples=[0.083]
    )
    highlight_words: bool = Field(
        False, description="Subtitles, srt and vtt: a cue for each word, with that word underlined."
    )
    max_chars_per_second: float | None = Field(
        None,
        ge=1,
        le=MOST_CHARACTERS_A_SECOND,
        description="Subtitles: count cues that are faster to read in the header X-Subtitle-Warnings, and note them in "
        "vtt. They are not changed.",
        examples=[20],
    )

    def asked_layout(self, kept: SubtitleLayout | None = None) -> SubtitleLayout | None:
        """The layout these parameters ask for, on top of one that is kept with a job; None when nobody asks."""
        given = {name: getattr(self, name) for name in LAYOUT_NAMES & self.model_fields_set}
        return replace(kept or SubtitleLayout(), **given) if given else kept

    def to_layout(self, kept: SubtitleLayout | None = None) -> SubtitleLayout | None:
        """The same, once all parameters are known. Raises InvalidParameter when they make no sense together."""
        layout = self.asked_layout(kept)
        if layout and layout.max_line_count and not (layout.max_line_width or layout.max_words_per_line):
            raise InvalidParameter(
                "'max_line_count' has no effect unless lines are broken. Send 'max_line_width' or 'max_words_per_line'."
            )
        return layout


LAYOUT_NAMES = frozenset(LayoutParameters.model_fields)


class ResultParameters(LayoutParameters):
    """The query of GET /jobs/{id}/result."""

    response_format: ResponseFormat | None = Field(None, description="Any format; that of the submission by default.")
