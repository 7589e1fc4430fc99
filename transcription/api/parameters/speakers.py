"""Telling speakers apart, as request parameters."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from transcription.core.errors import InvalidParameter
from transcription.core.speakers import LABEL_PREFIX, MAX_SPEAKERS, KnownVoice, SpeakerOptions
from transcription.pipeline.speakers import MAX_NAME_CHARACTERS, checked_name

MAX_PREFIX_CHARACTERS = MAX_NAME_CHARACTERS - 2  # a number follows


def _checked_prefix(prefix: str) -> str:
    try:
        checked_name(prefix)
    except InvalidParameter as error:
        raise InvalidParameter(f"speaker_labels: {error.message}", parameter="speaker_labels") from None
    return prefix  # with a space at its end, after which the number follows


class SpeakerParameters(BaseModel):
    """Who speaks. The descriptions appear in the API document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    diarize: bool = Field(
        False, description="Tell the speakers apart: segments and words have a `speaker`, and cues begin with its name."
    )
    num_speakers: int | None = Field(
        None,
        ge=1,
        le=MAX_SPEAKERS,
        description="With diarize: the number of speakers, if known. It is found if missing.",
        examples=[2],
    )
    min_speakers: int | None = Field(
        None, ge=1, le=MAX_SPEAKERS, description="With diarize: find at least so many speakers.", examples=[2]
    )
    max_speakers: int | None = Field(
        None, ge=1, le=MAX_SPEAKERS, description="With diarize: find at most so many speakers.", examples=[4]
    )
    speaker_labels: Annotated[str, AfterValidator(_checked_prefix)] | None = Field(
        None,
        max_length=MAX_PREFIX_CHARACTERS,
        description=f"With diarize: what the labels of speakers begin with, {LABEL_PREFIX} if missing. A number "
        "follows, in the order in which they first speak.",
        examples=["Speaker "],
    )

    def speaker_options(self, known: tuple[KnownVoice, ...] = ()) -> SpeakerOptions | None:
        """What is known about the speakers; None if they are not to be told apart. known: people with names.

        Raises InvalidParameter if parameters contradict each other.
        """
        if not (self.diarize or self.is_split):
            return None
        if self.diarize and self.is_split:
            raise InvalidParameter(
                "With channel=split each channel has a speaker of its own; diarize finds them by their voices. Send "
                "only one of the two.",
                parameter="channel",
            )
        return SpeakerOptions(
            num_speakers=self.num_speakers,
            min_speakers=self.min_speakers,
            max_speakers=self.max_speakers,
            known=known,
            labels=self.speaker_labels or LABEL_PREFIX,
        )

    @property
    def is_split(self) -> bool:
        """Whether each channel has a speaker of its own."""
        return False

    def check_speakers(self, *others: str) -> None:
        """Raise InvalidParameter if a parameter has no effect because `diarize` is missing.

        others: names of parameters that are sent, and not in this model.
        """
        free = {"diarize", "speaker_labels"} if self.is_split else {"diarize"}
        given = sorted((SPEAKER_NAMES - free) & self.model_fields_set) + list(others)
        if given and not self.diarize:
            message = f"'{given[0]}' needs diarize=true. Send it, or leave '{given[0]}' out."
            raise InvalidParameter(message, parameter=given[0])


SPEAKER_NAMES = frozenset(SpeakerParameters.model_fields)
