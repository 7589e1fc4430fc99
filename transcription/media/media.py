"""An accepted recording, as described by the probe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Media:
    """An accepted upload on disk.

    format: name of the container, for messages. codec: ffmpeg's name.
    demuxer: ffmpeg's name of the container format, so that ffmpeg does not detect it again.
    duration: seconds, as stated by the container, which may be wrong; for estimates only. None if it states none.
    stream_index: index of the audio stream to decode, among all streams.
    channels: of that stream, as stated; 0 if unknown.
    start: timestamp in seconds at which the file's time begins, which need not be that of its first sound; None if the
        file has none.
    """

    path: Path
    sha256: str
    size: int
    format: str
    demuxer: str
    codec: str
    stream_index: int
    duration: float | None
    channels: int = 0
    start: float | None = None
