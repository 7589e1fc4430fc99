"""Transcripts that are corrected, as JSON: what GET /jobs/{id}/transcript answers and PUT takes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from transcription.api.schemas.jobs import JOB_ID
from transcription.api.schemas.transcript import TranscriptSegment, TranscriptSpeaker, TranscriptWord
from transcription.core.errors import InvalidParameter
from transcription.jobs.transcripts.corrections import EditedSegment, EditedWord
from transcription.pipeline.speakers import MAX_NAME_CHARACTERS

MAX_SEGMENTS = 50_000  # eight hours of speech have 10,000
MAX_SEGMENT_CHARACTERS = 5_000
MAX_WORD_CHARACTERS = 500
SAVED_AT = "2026-11-23T10:30:00.000Z"

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class EditableSegment(TranscriptSegment):
    """A segment with its words."""

    words: list[TranscriptWord] = Field(default=[], description="Absent if the words have no times.")


class JobTranscript(BaseModel):
    """The transcript of a job, for editing. It may be sent back as it is."""

    job_id: str = Field(examples=[JOB_ID])
    version: int = Field(ge=0, description="0 is what was transcribed.", examples=[1])
    saved_at: str = Field(examples=[SAVED_AT])
    language: str = Field(description="Code of the language; und if there is no speech.", examples=["en"])
    duration: float = Field(description="Duration of the recording, in seconds.", examples=[125.5])
    segments: list[EditableSegment]
    speakers: list[TranscriptSpeaker] = Field(default=[], description="Present if there are any.")


class TranscriptVersion(BaseModel):
    """A version of a transcript that is kept."""

    version: int = Field(ge=0, description="0 is what was transcribed.", examples=[1])
    saved_at: str = Field(examples=[SAVED_AT])


class TranscriptVersions(BaseModel):
    """The versions that are kept, oldest first. The last is the present one."""

    job_id: str = Field(examples=[JOB_ID])
    versions: list[TranscriptVersion]


class SavedTranscript(BaseModel):
    """The transcript was saved. version: the one that it is now."""

    job_id: str = Field(examples=[JOB_ID])
    version: int = Field(ge=0, examples=[1])


# What the service's own JSON has beside, at any level: it follows from the rest, or was measured.
_DERIVED = frozenset(
    {
        *("job_id", "version", "saved_at", "task", "model", "language", "language_probability", "duration", "speakers"),
        *("processing_time", "warnings", "id", "overlap", "seek", "tokens", "temperature", "avg_logprob"),
        *("compression_ratio", "no_speech_prob"),
    }
)


class _Edit(BaseModel):
    """Strict, except that fields of the service's own JSON have no effect, so that an answer may be sent back."""

    model_config = ConfigDict(extra="forbid", strict=True)
    derived: ClassVar = _DERIVED

    @model_validator(mode="before")
    @classmethod
    def _drop_derived(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if name not in cls.derived}


class WordEdit(_Edit):
    """A word of a corrected segment, in seconds of the file."""

    word: str = Field(min_length=1, max_length=MAX_WORD_CHARACTERS, examples=["Hello"])
    start: Seconds = Field(examples=[0.0])
    end: Seconds = Field(examples=[0.5])
    confidence: float | None = Field(None, ge=0, le=1, description="1 if it is not sent.")
    speaker: str | None = Field(None, description="That of the segment counts.")


class SegmentEdit(_Edit):
    """A corrected segment, in seconds of the file."""

    derived: ClassVar = _DERIVED | {"confidence"}

    start: Seconds = Field(examples=[0.0])
    end: Seconds = Field(examples=[5.2])
    text: str = Field(max_length=MAX_SEGMENT_CHARACTERS, examples=["Hello, this is a test."])
    speaker: str | None = Field(
        None,
        max_length=MAX_NAME_CHARACTERS,
        description="Who speaks, null for no one. If it is not sent, who was known to speak there.",
    )
    words: list[WordEdit] = Field(
        default=[],
        max_length=MAX_SEGMENT_CHARACTERS,  # a word has at least one
        description="Without them, words that were there keep their times, and others share the time between.",
    )

    def edited(self) -> EditedSegment:
        """The segment as the domain has it."""
        words = tuple(EditedWord(each.word, each.start, each.end, each.confidence) for each in self.words) or None
        speaker = (self.speaker or "") if "speaker" in self.model_fields_set else None
        return EditedSegment(self.start, self.end, self.text, speaker, words)


class TranscriptEdit(_Edit):
    """A corrected transcript. It may be what GET answers, or a result in `json` or `verbose_json`."""

    derived: ClassVar = _DERIVED | {"text", "words"}

    segments: list[SegmentEdit] = Field(max_length=MAX_SEGMENTS)


def parse_edit(body: bytes) -> list[EditedSegment]:
    """The segments in the body of a request. Raises InvalidParameter, with the number of the segment."""
    try:
        edit = TranscriptEdit.model_validate_json(body)
    except ValidationError as error:
        raise InvalidParameter(_first_problem(error)) from None
    return [segment.edited() for segment in edit.segments]


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    match first["loc"]:
        case ("segments", int(number), "words", int(word), *rest):
            place = f"Segment {number}, word {word}: "
        case ("segments", int(number), *rest):
            place = f"Segment {number}: "
        case rest:
            place = ""
    names = "".join(f"'{name}': " for name in rest)
    remedy = "" if place else " Send an object with 'segments', each with start, end and text."
    return f"{place}{names}{first['msg']}.{remedy}"
