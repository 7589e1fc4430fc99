"""The JSON of section 3.1.1 plus everything the decoder knows, under OpenAI's names."""

from __future__ import annotations

import json
from typing import Any

from formats.json import to_dict as plain_dict
from formats.json import word_to_dict
from transcript import Segment, Transcript


def render(transcript: Transcript) -> str:
    """One JSON object, a superset of format `json`."""
    return json.dumps(to_dict(transcript), ensure_ascii=False)


def to_dict(transcript: Transcript) -> dict[str, Any]:
    """Format `json` with task, model, warnings and the decoder's figures for every segment."""
    document = plain_dict(transcript)
    for plain, segment in zip(document["segments"], transcript.segments, strict=True):
        plain.update(_figures(segment))
        if transcript.word_timestamps:
            plain["words"] = [word_to_dict(word) for word in segment.words]
    return {
        "task": transcript.task.value,
        "model": transcript.model,
        **document,
        "warnings": list(transcript.warnings),
    }


def _figures(segment: Segment) -> dict[str, Any]:
    return {
        "seek": segment.seek,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }
