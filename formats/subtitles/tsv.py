"""Tab-separated values as openai/whisper writes them: start and end in milliseconds, text.

Speakers are in a fourth column, after those that its readers know. WhisperX writes none in this format.
"""

from __future__ import annotations

from formats.subtitles.layout import SubtitleLayout, lay_out
from transcription.core.transcript import Transcript

HEADER = "start\tend\ttext"
SPEAKER_HEADER = "speaker"


def render(transcript: Transcript, layout: SubtitleLayout | None = None) -> str:
    """A header line, then one line per cue. The column of speakers is there if the transcript has any."""
    laid = lay_out(transcript, layout)
    lines = [HEADER, *(f"{cue.start}\t{cue.end}\t{cue.text}" for cue in laid)]
    if transcript.speakers:
        speakers = [SPEAKER_HEADER, *(cue.speaker for cue in laid)]
        lines = [f"{line}\t{speaker}" for line, speaker in zip(lines, speakers, strict=True)]
    return "\n".join(lines) + "\n"
