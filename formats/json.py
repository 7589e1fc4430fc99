"""JSON as section 3.1.1 of the specification gives it."""

from __future__ import annotations

import json
from typing import Any

from transcription.core.transcript import Segment, Transcript, Word

CONFIDENCE_DIGITS = 4
TIME_DIGITS = 2  # Whisper's timestamps are 20 ms apart


def render(transcript: Transcript) -> str:
    """One JSON object, UTF-8 text kept readable."""
    return json.dumps(to_dict(transcript), ensure_ascii=False)


def to_dict(transcript: Transcript) -> dict[str, Any]:
    """`words` is there when word timestamps were asked for, also when nobody spoke."""
    document: dict[str, Any] = {
        "text": transcript.text,
        "language": transcript.language,
        "language_probability": round(transcript.language_probability, CONFIDENCE_DIGITS),
        "duration": round(transcript.duration, TIME_DIGITS),
        "segments": [_segment(number, segment) for number, segment in enumerate(transcript.segments)],
    }
    if transcript.word_timestamps:
        document["words"] = [word_to_dict(word) for word in transcript.words]
    document["processing_time"] = round(transcript.processing_time, 3)
    return document


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    return {
        "id": number,
        "start": round(segment.start, TIME_DIGITS),
        "end": round(segment.end, TIME_DIGITS),
        "text": segment.text.strip(),
        "confidence": round(segment.confidence, CONFIDENCE_DIGITS),
    }


def word_to_dict(word: Word) -> dict[str, Any]:
    """A word without its leading space."""
    return {
        "word": word.text.strip(),
        "start": round(word.start, TIME_DIGITS),
        "end": round(word.end, TIME_DIGITS),
        "confidence": round(word.probability, CONFIDENCE_DIGITS),
    }
