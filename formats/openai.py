"""JSON in the shape of OpenAI's audio API: https://platform.openai.com/docs/api-reference/audio"""

from __future__ import annotations

import json
import math
from typing import Any

from formats.json import TIME_DIGITS, notices_of, speaker_of
from transcription.core.languages import LANGUAGES
from transcription.core.options import Task
from transcription.core.transcript import Segment, Transcript, Word

MIN_PROBABILITY = 1e-10  # JSON cannot represent the logarithm of zero
ISO_CODES = {"jw": "jv"}  # Whisper's own code for Javanese; the others are those of ISO 639
UNKNOWN_SPEAKER = "unknown"  # no voice was detected, but the model wrote text; the field must be a text
UNKNOWN_LANGUAGE = "unknown"  # no speech, so no language was detected


def render_json(transcript: Transcript, *, logprobs: bool = False) -> str:
    """The text, and ours: `warnings` about the file, if any.

    logprobs: add one entry per word, for which the transcript must have word times.
    """
    document: dict[str, Any] = {"text": transcript.text}
    if transcript.task is Task.TRANSCRIBE:
        document["languages"] = languages(transcript.language)
    if logprobs:
        document["logprobs"] = [logprob(word) for word in transcript.words]
    return _dump({**document, "usage": usage(transcript), **notices_of(transcript)})


def render_verbose_json(transcript: Transcript, *, segments: bool, words: bool) -> str:
    """The text, with its segments and words as requested.

    And ours: `speaker` of each, if speakers were told apart, and `warnings` about the file, if any.
    """
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
    return _dump({**document, "usage": usage(transcript), **notices_of(transcript)})


def render_diarized_json(transcript: Transcript) -> str:
    """The text, with its segments and who says them, and ours: `warnings` about the file, if any."""
    document = {
        "task": Task.TRANSCRIBE.value,
        "duration": round(transcript.duration, TIME_DIGITS),
        "text": transcript.text,
        "segments": [diarized_segment(number, segment) for number, segment in enumerate(transcript.segments, start=1)],
    }
    return _dump({**document, "usage": usage(transcript), **notices_of(transcript)})


def diarized_segment(number: int, segment: Segment) -> dict[str, Any]:
    """A segment with its speaker, which is an event of a stream as well. number: from 1 on."""
    return {
        "type": "transcript.text.segment",
        "id": f"seg_{number:03d}",
        "start": round(segment.start, TIME_DIGITS),
        "end": round(segment.end, TIME_DIGITS),
        "text": segment.text.strip(),
        "speaker": segment.speaker or UNKNOWN_SPEAKER,
    }


def usage(transcript: Transcript) -> dict[str, Any]:
    """The usage object: OpenAI bills these models by duration, in seconds."""
    return {"type": "duration", "seconds": round(transcript.duration, TIME_DIGITS)}


def languages(language: str) -> list[dict[str, str]]:
    """The languages that were spoken, as objects with their ISO 639 code; none if there is no speech.

    language: Whisper's code of the one that was detected or given.
    """
    return [{"code": ISO_CODES.get(language, language)}] if language in LANGUAGES else []


def logprob(word: Word) -> dict[str, Any]:
    """A word and the logarithm of its probability, which is the mean over its tokens.

    OpenAI reports tokens; the decoder gives probabilities of words only.
    """
    return {
        "token": word.text,
        "logprob": math.log(max(word.probability, MIN_PROBABILITY)),
        "bytes": list(word.text.encode()),
    }


def _language(transcript: Transcript) -> str:
    if transcript.task is Task.TRANSLATE:
        return "english"  # the language of the text, not of the speech
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
        **speaker_of(segment),
    }


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text.strip(),
        "start": round(word.start, TIME_DIGITS),
        "end": round(word.end, TIME_DIGITS),
        **speaker_of(word),
    }


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False)
