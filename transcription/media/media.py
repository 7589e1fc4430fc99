"""An accepted recording, as described by the probe."""

from __future__ import annotations

from dataclasses import dataclass
from io import FileIO


@dataclass(frozen=True, slots=True)
class Media:
    """An accepted upload on disk.

    file: open for reading.
    format: name of the container, for messages. codec: ffmpeg's name.
    demuxer: ffmpeg's name of the container format, so that ffmpeg does not detect it again.
    duration: seconds, as stated by the container, which may be wrong; None if it states none.
    stream_index: index of the audio stream to decode, among all streams.
    stated_end: seconds of sound in that stream according to a header that counts them; None if none does.
    breaks_off: the container states more bytes than the file has.
    """

    file: FileIO
    sha256: str
    size: int
    format: str
    demuxer: str
    codec: str
    stream_index: int
    duration: float | None
    stated_end: float | None = None
    breaks_off: bool = False
