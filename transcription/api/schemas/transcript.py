"""The JSON of a transcript as types, for the API document and for BentoML's clients. `formats/json.py` writes it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from transcription.core.options import Task
from transcription.core.transcript import Action, Reason


class TranscriptWord(BaseModel):
    """One word. Times are in seconds from the start of the file; confidence is a probability, 0 to 1."""

    word: str = Field(examples=["Hello"])
    start: float = Field(examples=[0.0])
    end: float = Field(examples=[0.5])
    confidence: float = Field(ge=0, le=1, examples=[0.96])
    speaker: str | None = Field(None, description="Who says it; absent without speakers.", examples=["SPEAKER_00"])


class TranscriptSegment(BaseModel):
    """One sentence or phrase. Times are in seconds from the start of the file; confidence is a probability, 0 to 1."""

    id: int = Field(examples=[0])
    start: float = Field(examples=[0.0])
    end: float = Field(examples=[5.2])
    text: str = Field(examples=["Hello, this is a test."])
    confidence: float = Field(ge=0, le=1, examples=[0.95])
    speaker: str | None = Field(None, description="Who says it; absent without speakers.", examples=["SPEAKER_00"])
    overlap: bool | None = Field(
        None, description="Whether others speak in a notable part of it; absent without speakers.", examples=[False]
    )


class TranscriptSpeaker(BaseModel):
    """A person in the recording, in the order in which they first speak."""

    label: str = Field(description="As in segments and words.", examples=["SPEAKER_00"])
    seconds: float = Field(description="Duration of this person's speech.", examples=[83.2])
    share: float = Field(
        ge=0, le=1, description="Of all speakers' speech; overlapping speech counts for each.", examples=[0.66]
    )


class TranscriptWarning(BaseModel):
    """Something about the file, or a suspected hallucination. Times are in seconds from the start of the file."""

    code: str = Field(
        description="truncated_media if the file breaks off, suspected_hallucination for a segment; may grow.",
        examples=["suspected_hallucination"],
    )
    message: str = Field(description="The reason and what to do, in plain language.")
    start: float | None = Field(None, description="Absent if unknown.", examples=[12.4])
    end: float | None = Field(None, description="Absent if unknown.", examples=[14.4])
    segment: int | None = Field(None, description="The id of the segment; null if it was dropped.", examples=[None])
    text: str | None = Field(None, description="Of the segment.", examples=["Thanks for watching!"])
    reason: Reason | None = Field(None, description="Why the segment is suspected.")
    action: Action | None = Field(None, description="What was done with the segment.")


class TranscriptionResponse(BaseModel):
    """A transcript, as response_format=json."""

    text: str = Field(description="The whole text; empty if there is no speech.")
    language: str = Field(description="Code of the language; und if there is no speech.", examples=["en"])
    language_probability: float = Field(ge=0, le=1, examples=[0.98])
    duration: float = Field(description="Duration of the recording, in seconds.", examples=[125.5])
    segments: list[TranscriptSegment]
    words: list[TranscriptWord] = Field(default=[], description="Present if timestamp_granularity is word.")
    speakers: list[TranscriptSpeaker] = Field(default=[], description="Present if there are any.")
    warnings: list[TranscriptWarning] = Field(
        default=[],
        description="About the file, if there is anything to say; about segments if response_format is verbose_json.",
    )
    processing_time: float = Field(
        description="Time from the received file to the transcript, in seconds.", examples=[12.3]
    )


class VerboseSegment(TranscriptSegment):
    """A segment with the decoder's figures. seek: the first frame of the decoded window, in units of 10 ms."""

    seek: int = Field(examples=[0])
    tokens: list[int]
    temperature: float = Field(examples=[0.0])
    avg_logprob: float = Field(examples=[-0.05])
    compression_ratio: float = Field(examples=[0.73])
    no_speech_prob: float = Field(examples=[0.01])
    words: list[TranscriptWord] = Field(default=[], description="Present if timestamp_granularity is word.")


class VerboseTranscript(BaseModel):
    """A transcript, as response_format=verbose_json."""

    task: Task
    model: str = Field(examples=["base"])
    text: str = Field(description="The whole text; empty if there is no speech.")
    language: str = Field(description="Code of the language; und if there is no speech.", examples=["en"])
    language_probability: float = Field(ge=0, le=1, examples=[0.98])
    duration: float = Field(description="Duration of the recording, in seconds.", examples=[125.5])
    segments: list[VerboseSegment]
    words: list[TranscriptWord] = Field(default=[], description="Present if timestamp_granularity is word.")
    speakers: list[TranscriptSpeaker] = Field(default=[], description="Present if there are any.")
    processing_time: float = Field(
        description="Time from the received file to the transcript, in seconds.", examples=[12.3]
    )
    warnings: list[TranscriptWarning]


JsonTranscript = VerboseTranscript | TranscriptionResponse  # the more specific first: generated clients try both
