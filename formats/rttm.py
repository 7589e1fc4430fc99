"""RTTM, Rich Transcription Time Marked: who speaks when, for tools that score or draw it.

The format is that of NIST's evaluation plan of 2009 for meetings (RT-09), appendix A.
"""

from __future__ import annotations

from collections.abc import Iterable

from formats.subtitles.cues import one_line
from transcription.core.transcript import Segment, Transcript

FILE = "audio"  # a transcript does not know the name of its file
JOINED_SECONDS = 0.4  # a shorter pause does not end a turn


def render(transcript: Transcript, file: str = FILE) -> str:
    """A line for each stretch in which someone speaks, by its start; times in seconds. Nothing without speakers.

    Fields are separated by spaces: those inside names become underscores.
    """
    labels = dict.fromkeys(segment.speaker for segment in transcript.segments if segment.speaker is not None)
    lines = sorted(
        (start, end, label)
        for label in labels
        for start, end in _stretches(segment for segment in transcript.segments if segment.speaker == label)
    )
    return render_turns(lines, file)


def render_turns(turns: Iterable[tuple[float, float, str]], file: str = FILE) -> str:
    """A line for each turn: its start, its end and who speaks."""
    return "".join(
        f"SPEAKER {_field(file)} 1 {start:.3f} {end - start:.3f} <NA> <NA> {_field(label)} <NA> <NA>\n"
        for start, end, label in turns
    )


def _stretches(segments: Iterable[Segment]) -> list[tuple[float, float]]:
    """Start and end of what one person says."""
    joined: list[tuple[float, float]] = []
    for segment in sorted(segments, key=lambda segment: segment.start):
        if joined and segment.start - joined[-1][1] < JOINED_SECONDS:
            joined[-1] = (joined[-1][0], max(joined[-1][1], segment.end))
        else:
            joined.append((segment.start, segment.end))
    return joined


def _field(text: str) -> str:
    return "_".join(one_line(text).split()) or "_"
