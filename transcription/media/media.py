"""An accepted recording, as the probe found it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Media:
    """An accepted upload on disk, as the probe found it.

    demuxer: ffmpeg's name of the container format, passed back to ffmpeg so that it never guesses again.
    duration: what the container claims, or None when it does not say; the decoder measures the truth.
    stream_index: absolute index of the audio stream that is decoded.
    """

    path: Path
    sha256: str
    size: int
    format: str
    demuxer: str
    codec: str
    stream_index: int
    duration: float | None
