"""Example transcripts for the API document, written by the formats themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from formats import json, verbose_json
from formats.registry import ResponseFormat, render
from transcription.core.transcript import Action, Concern, Reason, Segment, Transcript, Word

WORDS = Transcript(
    language="en",
    language_probability=0.98,
    duration=5.5,
    segments=(
        Segment(
            start=0.0,
            end=5.2,
            text=" Hello, this is a test.",
            tokens=(50364, 2425, 11, 341, 307, 257, 1500, 13, 50624),
            avg_logprob=-0.05,
            compression_ratio=0.73,
            no_speech_prob=0.01,
            temperature=0.0,
            words=(Word(" Hello,", 0.0, 0.5, 0.96),),
        ),
    ),
    model="base",
    word_timestamps=True,
    processing_time=1.3,
    # Marked, not dropped: FastAPI leaves nulls out of examples, and a dropped one has no segment.
    warnings=(Concern(0, 0.0, 5.2, " Hello, this is a test.", Reason.LOW_CONFIDENCE, Action.MARKED),),
)
SEGMENTS = replace(WORDS, word_timestamps=False)


def transcript_content() -> dict[str, Any]:
    """An example in each media type; of two formats with the same media type, the first."""
    examples: dict[str, Any] = {
        each.record.media_type: {"schema": {"type": "string"}, "example": render(SEGMENTS, each).body}
        for each in reversed(ResponseFormat)
    }
    examples[ResponseFormat.JSON.record.media_type] = {
        "examples": {
            "segment": {"summary": "timestamp_granularity=segment", "value": json.to_dict(SEGMENTS)},
            "word": {"summary": "timestamp_granularity=word", "value": json.to_dict(WORDS)},
            "verbose": {"summary": "response_format=verbose_json", "value": verbose_json.to_dict(SEGMENTS)},
        }
    }
    return examples
