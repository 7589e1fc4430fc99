"""JSON as OpenAI's audio API has it: https://platform.openai.com/docs/api-reference/audio"""

from __future__ import annotations

import json
import math
from typing import Any

from formats.json import TIME_DIGITS
from transcription.core.languages import LANGUAGES
from transcription.core.options import Task
from transcription.core.transcript import Segment, Transcript, Word

LEAST_PROBABILITY = 1e-10  # JSON has no infinity for the logarithm of nothing
UNKNOWN_LANGUAGE = "unknown"  # nobody spoke


def render_json(transcript: Transcript, *, logprobs: bool = False) -> str:
    """The text. logprobs: with an entry a word, which the words' times must have been asked for."""
    document: dict[str, Any] = {"text": transcript.text}
    if logprobs:
        document["logprobs"] = [logprob(word) for word in transcript.words]
    return _dump({**document, "usage": usage(transcript)})


def render_verbose_json(transcript: Transcript, *, segments: bool, words: bool) -> str:
    """The text with its segments and words, as asked for."""
    document: dict[str, Any] = {
        "task": transcript.task.value,
        "language": _language(transcript),
        "duration": round(transcript.duration, TIME_DIGITS),
        "text": transcript.text,
    }
    if segments:
        document["segments"] = [_segment(number, segment) for number, segment in enumerate(transcript.segments)]
    if words:
        document["words"] = [_word(word) for word in transcript.words]
    return _dump({**document, "usage": usage(transcript)})


def usage(transcript: Transcript) -> dict[str, Any]:
    """What was transcribed, as OpenAI counts it."""
    return {"type": "duration", "seconds": round(transcript.duration, TIME_DIGITS)}


def logprob(word: Word) -> dict[str, Any]:
    """A word and the logarithm of its probability, the mean over its tokens: the decoder tells no less."""
    return {
        "token": word.text,
        "logprob": math.log(max(word.probability, LEAST_PROBABILITY)),
        "bytes": list(word.text.encode()),
    }


def _language(transcript: Transcript) -> str:
    if transcript.task is Task.TRANSLATE:
        return "english"  # what the text is in
    return LANGUAGES.get(transcript.language, UNKNOWN_LANGUAGE).lower()


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    return {
        "id": number,
        "seek": segment.seek,
        "start": round(segment.start, TIME_DIGITS),
        "end": round(segment.end, TIME_DIGITS),
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text.strip(),
        "start": round(word.start, TIME_DIGITS),
        "end": round(word.end, TIME_DIGITS),
    }


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False)
