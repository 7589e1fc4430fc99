"""The format `json`."""

from __future__ import annotations

import json
from typing import Any

from transcription.core.speakers import Speaker
from transcription.core.transcript import Notice, Segment, Transcript, Word

CONFIDENCE_DIGITS = 4  # of probabilities and shares
TIME_DIGITS = 2  # Whisper's timestamps are 20 ms apart


def render(transcript: Transcript) -> str:
    """One JSON object. Characters outside ASCII are not escaped."""
    return json.dumps(to_dict(transcript), ensure_ascii=False)


def to_dict(transcript: Transcript) -> dict[str, Any]:
    """The document as a dict. It has `words` if word timestamps were requested, even when there is no speech.

    It has `speakers` if there are any: the transcript's, and each segment and word then names its own.
    It has `warnings` if there is something to know about the file. Times are seconds, rounded to TIME_DIGITS.
    """
    document: dict[str, Any] = {
        "text": transcript.text,
        "language": transcript.language,
        "language_probability": round(transcript.language_probability, CONFIDENCE_DIGITS),
        "duration": round(transcript.duration, TIME_DIGITS),
        "segments": [segment_to_dict(number, segment) for number, segment in enumerate(transcript.segments)],
    }
    if transcript.word_timestamps:
        document["words"] = [word_to_dict(word) for word in transcript.words]
    if transcript.speakers:
        document["speakers"] = [speaker_to_dict(speaker) for speaker in transcript.speakers]
    document |= notices_of(transcript)
    document["processing_time"] = round(transcript.processing_time, 3)
    return document


def segment_to_dict(number: int, segment: Segment) -> dict[str, Any]:
    """A segment without its words. number: its place in the transcript, from 0."""
    return {
        "id": number,
        "start": round(segment.start, TIME_DIGITS),
        "end": round(segment.end, TIME_DIGITS),
        "text": segment.text.strip(),
        "confidence": round(segment.confidence, CONFIDENCE_DIGITS),
        **speaker_of(segment),
        **({} if segment.speaker is None else {"overlap": segment.overlap}),
    }


def speaker_to_dict(speaker: Speaker) -> dict[str, Any]:
    """A speaker, with seconds and share rounded."""
    return {
        "label": speaker.label,
        "seconds": round(speaker.seconds, TIME_DIGITS),
        "share": round(speaker.share, CONFIDENCE_DIGITS),
    }


def speaker_of(spoken: Segment | Word) -> dict[str, str]:
    """The field `speaker` of a segment or a word; nothing if there is none."""
    return {} if spoken.speaker is None else {"speaker": spoken.speaker}


def notices_of(transcript: Transcript) -> dict[str, Any]:
    """The field `warnings` with the notices about the file, for every JSON format; nothing if there are none."""
    return {"warnings": [notice_to_dict(notice) for notice in transcript.notices]} if transcript.notices else {}


def notice_to_dict(notice: Notice) -> dict[str, Any]:
    """A notice with the part of the file that it is about, if known; in seconds."""
    part = {"start": notice.start, "end": notice.end}
    times = {name: round(time, TIME_DIGITS) for name, time in part.items() if time is not None}
    return {"code": notice.code, "message": notice.message, **times}


def word_to_dict(word: Word) -> dict[str, Any]:
    """A word without its leading space, its times in seconds, its confidence 0..1."""
    return {
        "word": word.text.strip(),
        "start": round(word.start, TIME_DIGITS),
        "end": round(word.end, TIME_DIGITS),
        "confidence": round(word.probability, CONFIDENCE_DIGITS),
        **speaker_of(word),
    }
