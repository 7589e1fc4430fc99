"""The format `verbose_json`: `json` plus the decoder's figures, under OpenAI's names."""

from __future__ import annotations

import json
from typing import Any

from formats.json import TIME_DIGITS, notice_to_dict, word_to_dict
from formats.json import to_dict as plain_dict
from transcription.core.transcript import Action, Concern, Reason, Segment, Transcript

SUSPECTED_HALLUCINATION = "suspected_hallucination"  # code of the warnings about segments
REASON_TEXT = {
    Reason.REPETITION: "The same words repeat: the model seems to be stuck in a loop.",
    Reason.COMPRESSION_RATIO: "The text is repetitive at every temperature that was tried.",
    Reason.NO_VOICE: "Little or no voice was detected here, and the model is unsure of the words.",
    Reason.LOW_CONFIDENCE: "The model is unsure of the words at every temperature, and of whether there is speech.",
    Reason.NO_SPEECH: "The model detected no speech here and is unsure of the words; Whisper omits them.",
}
ACTION_TEXT = {
    Action.DROPPED: "Send hallucinations=mark to keep such segments.",
    Action.MARKED: "Check the text before you rely on it.",
}


def render(transcript: Transcript) -> str:
    """One JSON object, a superset of `json`."""
    return json.dumps(to_dict(transcript), ensure_ascii=False)


def to_dict(transcript: Transcript) -> dict[str, Any]:
    """The document of `json` with task, model, warnings and the decoder's figures of each segment."""
    document = plain_dict(transcript)
    for plain, segment in zip(document["segments"], transcript.segments, strict=True):
        plain.update(_figures(segment))
        if transcript.word_timestamps:
            plain["words"] = [word_to_dict(word) for word in segment.words]
    return {
        "task": transcript.task.value,
        "model": transcript.model,
        **document,
        "warnings": [
            *(notice_to_dict(notice) for notice in transcript.notices),
            *(_warning(concern) for concern in transcript.warnings),
        ],
    }


def _warning(concern: Concern) -> dict[str, Any]:
    return {
        "code": SUSPECTED_HALLUCINATION,
        "segment": concern.segment,
        "start": round(concern.start, TIME_DIGITS),
        "end": round(concern.end, TIME_DIGITS),
        "text": concern.text.strip(),
        "reason": concern.reason.value,
        "action": concern.action.value,
        "message": f"{REASON_TEXT[concern.reason]} {ACTION_TEXT[concern.action]}",
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
