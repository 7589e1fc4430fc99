"""The JSON of a transcript as types, for the API documents and for BentoML's clients. `formats/json.py` makes it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from transcription.core.transcript import Action, Reason


class TranscriptWord(BaseModel):
    """One word. Times are seconds from the beginning of the file; confidence is a probability, 0 to 1."""

    word: str = Field(examples=["Hello"])
    start: float = Field(examples=[0.0])
    end: float = Field(examples=[0.5])
    confidence: float = Field(ge=0, le=1, examples=[0.96])


class TranscriptSegment(BaseModel):
    """One sentence or phrase. Times are seconds from the beginning of the file; confidence is a probability."""

    id: int = Field(examples=[0])
    start: float = Field(examples=[0.0])
    end: float = Field(examples=[5.2])
    text: str = Field(examples=["Hello, this is a test."])
    confidence: float = Field(ge=0, le=1, examples=[0.95])


class TranscriptWarning(BaseModel):
    """A segment that nobody seems to have said. Times are seconds from the beginning of the file."""

    segment: int | None = Field(description="The id of the segment; null when it was dropped.", examples=[None])
    start: float = Field(examples=[12.4])
    end: float = Field(examples=[14.4])
    text: str = Field(examples=["Thanks for watching!"])
    reason: Reason
    action: Action
    message: str = Field(description="The reason and what to do, for a person.")


class TranscriptionResponse(BaseModel):
    """What was said."""

    text: str = Field(description="Everything that was said; empty when nobody spoke.")
    language: str = Field(description="Code of the language; und when nobody spoke.", examples=["en"])
    language_probability: float = Field(ge=0, le=1, examples=[0.98])
    duration: float = Field(description="Length of the recording, seconds.", examples=[125.5])
    segments: list[TranscriptSegment]
    words: list[TranscriptWord] = Field(default=[], description="There when timestamp_granularity is word.")
    warnings: list[TranscriptWarning] = Field(default=[], description="There when response_format is verbose_json.")
    processing_time: float = Field(description="Seconds from the received file to this answer.", examples=[12.3])
