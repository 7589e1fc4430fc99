"""WebVTT (.vtt), W3C: https://www.w3.org/TR/webvtt1/"""

from __future__ import annotations

from formats.cues import Cue, clock, cues
from transcript import Transcript


def render(transcript: Transcript) -> str:
    """A WebVTT file; an empty transcript is the header alone."""
    return "\n".join(["WEBVTT\n", *(_block(cue) for cue in cues(transcript))])


def _block(cue: Cue) -> str:
    # Section 4.2.2: cue text may hold neither "&" nor "<" unescaped, and never "-->".
    text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n{text}\n"
