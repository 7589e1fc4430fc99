"""The format `text`."""

from __future__ import annotations

from itertools import groupby

from formats.subtitles.cues import one_line
from transcription.core.transcript import Transcript


def render(transcript: Transcript) -> str:
    """The text on one line; an empty file when there is no speech.

    With speakers: a paragraph whenever another one speaks, with the name in front, and an empty line between them.
    """
    if transcript.speakers:
        return "\n".join(f"{paragraph}\n" for paragraph in _paragraphs(transcript))
    return f"{transcript.text}\n" if transcript.text else ""


def _paragraphs(transcript: Transcript) -> list[str]:
    paragraphs = []
    for speaker, segments in groupby(transcript.segments, key=lambda segment: segment.speaker):
        name, text = one_line(speaker or ""), one_line("".join(segment.text for segment in segments))
        if text:
            paragraphs.append(f"{name}: {text}" if name else text)
    return paragraphs
