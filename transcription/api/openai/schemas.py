"""The JSON of OpenAI's answers as types, for the API document. `formats/openai.py` writes it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from transcription.api.schemas.transcript import TranscriptWarning
from transcription.core.options import Task

OWNER = "transcription-service"


class ErrorDetail(BaseModel):
    """The details of an error."""

    message: str
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(examples=["temperature"])
    code: str | None = Field(examples=["invalid_parameter"])


class OpenAIError(BaseModel):
    """The body of every error of these routes."""

    error: ErrorDetail


class Usage(BaseModel):
    """The duration of the recording, in seconds."""

    type: Literal["duration"]
    seconds: float = Field(examples=[5.5])


class SpokenLanguage(BaseModel):
    """A language that was spoken, by its ISO 639 code."""

    code: str = Field(examples=["en"])


class Logprob(BaseModel):
    """A word, the logarithm of its probability, and its bytes in UTF-8."""

    token: str
    logprob: float
    bytes: list[int]


class OpenAITranscription(BaseModel):
    """The answer with response_format=json."""

    text: str = Field(description="The whole text; empty if there is no speech.", examples=["Hello, this is a test."])
    languages: list[SpokenLanguage] = Field(
        default=[], description="Of transcriptions; empty if there is no speech. Translations have none."
    )
    logprobs: list[Logprob] = Field(default=[], description="With include[]=logprobs.")
    usage: Usage
    warnings: list[TranscriptWarning] = Field(default=[], description="About the file, if there is anything to say.")


class OpenAIWord(BaseModel):
    """One word. Times are in seconds."""

    word: str
    start: float
    end: float
    speaker: str | None = Field(default=None, description="Who says it, with diarize=true.")


class OpenAISegment(BaseModel):
    """One sentence or phrase. Times are in seconds."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    speaker: str | None = Field(default=None, description="Who says it, with diarize=true.")


class OpenAIVerboseTranscription(BaseModel):
    """The answer with response_format=verbose_json."""

    task: Task
    language: str = Field(
        description="English name in lower case; unknown if there is no speech.", examples=["english"]
    )
    duration: float = Field(examples=[5.5])
    text: str
    segments: list[OpenAISegment] = Field(default=[], description="Unless timestamp_granularities[] is word alone.")
    words: list[OpenAIWord] = Field(default=[], description="With timestamp_granularities[]=word.")
    usage: Usage
    warnings: list[TranscriptWarning] = Field(default=[], description="About the file, if there is anything to say.")


class OpenAIDiarizedSegment(BaseModel):
    """What one speaker says. Times are in seconds."""

    type: Literal["transcript.text.segment"]
    id: str = Field(examples=["seg_001"])
    start: float
    end: float
    text: str
    speaker: str = Field(description="A, B, ..., in the order in which they first speak.", examples=["A"])


class OpenAIDiarizedTranscription(BaseModel):
    """The answer with response_format=diarized_json."""

    task: Literal["transcribe"]
    duration: float = Field(examples=[5.5])
    text: str
    segments: list[OpenAIDiarizedSegment]
    usage: Usage
    warnings: list[TranscriptWarning] = Field(default=[], description="About the file, if there is anything to say.")


OpenAIJson = (
    OpenAIVerboseTranscription | OpenAIDiarizedTranscription | OpenAITranscription
)  # the more specific first: generated clients try both


class DiarizationTurn(BaseModel):
    """A stretch in which one person speaks. Times are in seconds."""

    id: int
    speaker: str = Field(examples=["SPEAKER_00"])
    label: str = Field(description="The number of the speaker.", examples=["0"])
    start: float
    end: float


class DiarizationSpeaker(BaseModel):
    """A person in the recording."""

    id: str = Field(examples=["SPEAKER_00"])
    label: str = Field(examples=["0"])
    total_speech_duration: float = Field(description="Seconds.")
    segment_count: int


class DiarizationAnswer(BaseModel):
    """Who speaks when."""

    task: Literal["diarize"]
    duration: float = Field(examples=[34.7])
    num_speakers: int = Field(examples=[2])
    segments: list[DiarizationTurn]
    speakers: list[DiarizationSpeaker] = Field(default=[], description="With response_format=verbose_json.")


class OpenAIModel(BaseModel):
    """A model in OpenAI's shape."""

    id: str = Field(examples=["whisper-1"])
    object: Literal["model"]
    created: int = Field(description="Always 0: not known.")
    owned_by: str

    @classmethod
    def named(cls, name: str) -> OpenAIModel:
        """The model of this name."""
        return cls(id=name, object="model", created=0, owned_by=OWNER)


class OpenAIModelList(BaseModel):
    """Every value of `model`."""

    object: Literal["list"]
    data: list[OpenAIModel]
