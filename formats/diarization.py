"""Who spoke when, without text: JSON as LocalAI writes it, which has the fields of speaches as well.

https://localai.io/features/audio-diarization/
"""

from __future__ import annotations

import json
from typing import Any

from formats import rttm
from formats.json import TIME_DIGITS
from transcription.core.speakers import SpeakerTurns


def render_json(found: SpeakerTurns, *, verbose: bool = False) -> str:
    """The turns, ordered by their start, in seconds. verbose: with the speakers and how long they speak."""
    document: dict[str, Any] = {
        "task": "diarize",
        "duration": round(found.duration, TIME_DIGITS),
        "num_speakers": len(found.labels),
        "segments": [
            {
                "id": number,
                "speaker": found.labels[turn.speaker],
                "label": str(turn.speaker),
                "start": round(turn.start, TIME_DIGITS),
                "end": round(turn.end, TIME_DIGITS),
            }
            for number, turn in enumerate(found.turns)
        ],
    }
    if verbose:
        document["speakers"] = [_speaker(found, speaker) for speaker in found.labels]
    return json.dumps(document, ensure_ascii=False)


def _speaker(found: SpeakerTurns, speaker: int) -> dict[str, Any]:
    own = [turn for turn in found.turns if turn.speaker == speaker]
    return {
        "id": found.labels[speaker],
        "label": str(speaker),
        "total_speech_duration": round(sum(turn.end - turn.start for turn in own), TIME_DIGITS),
        "segment_count": len(own),
    }


def render_rttm(found: SpeakerTurns) -> str:
    """A line for each turn."""
    return rttm.render_turns((turn.start, turn.end, found.labels[turn.speaker]) for turn in found.turns)
