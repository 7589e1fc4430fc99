"""WebVTT (.vtt), W3C: https://www.w3.org/TR/webvtt1/"""

from __future__ import annotations

from collections.abc import Iterator

from formats.subtitles.cues import Cue, clock
from formats.subtitles.layout import SubtitleLayout, characters_per_second, frames, is_fast, lay_out
from transcription.core.transcript import Transcript


def render(transcript: Transcript, layout: SubtitleLayout | None = None) -> str:
    """A WebVTT file. An empty transcript gives the header alone. A NOTE precedes each cue that is too fast to read."""
    blocks = (block for cue in lay_out(transcript, layout) for block in _blocks(cue, layout))
    return "\n".join(["WEBVTT\n", *blocks])


def _blocks(cue: Cue, layout: SubtitleLayout | None) -> Iterator[str]:
    if is_fast(cue, layout):
        yield f"NOTE {characters_per_second(cue):.1f} characters a second\n"
    for frame in frames(cue, layout):
        times = f"{clock(frame.start, '.')} --> {clock(frame.end, '.')}"
        yield f"{times}\n{_voice(frame)}{frame.on_screen(_escape)}\n"


def _voice(cue: Cue) -> str:
    """The tag that says who speaks, which may be left open to the end of its cue (WebVTT, 4.2.2)."""
    return f"<v {_escape(cue.speaker)}>" if cue.speaker else ""


def _escape(text: str) -> str:
    # WebVTT, 4.2.2: cue text contains neither "&" nor "<" unescaped, and never "-->".
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
