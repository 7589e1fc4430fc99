"""JSON and text in the shape of whisper-asr-webservice: https://ahmetoner.com/whisper-asr-webservice/endpoints/"""

from __future__ import annotations

import json
from typing import Any

from formats.json import notices_of, speaker_of
from formats.subtitles.cues import one_line
from transcription.core.transcript import Segment, Transcript


def render_json(transcript: Transcript) -> str:
    """The JSON of whisper-asr-webservice, with faster-whisper's fields of each segment, and WhisperX's `speaker`.

    And ours: `warnings` about the file, if any.
    """
    document = {
        "text": "".join(segment.text for segment in transcript.segments),
        "segments": [_segment(number, segment) for number, segment in enumerate(transcript.segments)],
        "language": transcript.language,
        **notices_of(transcript),
    }
    return json.dumps(document, ensure_ascii=False)


def render_text(transcript: Transcript) -> str:
    """One line per segment, with its speaker as WhisperX writes it."""
    return "".join(f"{_named(segment)}{one_line(segment.text)}\n" for segment in transcript.segments)


def _named(segment: Segment) -> str:
    return "" if segment.speaker is None else f"[{one_line(segment.speaker)}]: "


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    words = [
        {"start": word.start, "end": word.end, "word": word.text, "probability": word.probability, **speaker_of(word)}
        for word in segment.words
    ]
    return {
        "id": number,
        "seek": segment.seek,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": list(segment.tokens),
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
        "temperature": segment.temperature,
        "words": words or None,
        **speaker_of(segment),
    }
