"""An accepted recording, as described by the probe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import FileIO

from transcription.media.completeness import Ending


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """An audio stream of a file.

    number: among its audio streams, from 1. index: among all streams, from 0. codec: ffmpeg's name.
    channels: as stated; 0 if unknown. layout: ffmpeg's name of their positions, "" if unknown.
    is_default: marked as such by the container. language, title: as tagged, or "".
    stated_end, first_sound: see `Media`.
    """

    number: int
    index: int
    codec: str
    channels: int = 0
    layout: str = ""
    is_default: bool = False
    language: str = ""
    title: str = ""
    stated_end: float | None = None
    first_sound: float | None = None

    def __str__(self) -> str:
        tags = [self.language, self.title and f"'{self.title}'"]
        described = ", ".join(tag for tag in tags if tag)
        return f"track {self.number} ({described})" if described else f"track {self.number}"


@dataclass(frozen=True, slots=True)
class Media:
    """An accepted upload on disk.

    file: open for reading.
    format: name of the container, for messages. codec: ffmpeg's name.
    demuxer: ffmpeg's name of the container format, so that ffmpeg does not detect it again.
    duration: seconds, as stated by the container, which may be wrong; for estimates only. None if it states none.
    stream_index: index of the audio stream to decode, among all streams.
    channels, layout: of that stream, see `AudioTrack`.
    stated_end: seconds of sound in that stream according to a header that counts them; None if none does.
    ending: see `completeness`; the duration of an UNCOUNTED file is unknown.
    start: timestamp in seconds at which the file's time begins, which need not be that of its first sound; None if the
        file has none.
    first_sound: timestamp in seconds of the first sound in that stream; None if unknown.
    tracks: all audio streams that can be chosen. skip: bytes of junk before the first frame.
    plain: the bytes of the file that are 16 kHz mono PCM already; None if it has to be decoded.
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
    ending: Ending = Ending.WHOLE
    channels: int = 0
    layout: str = ""
    start: float | None = None
    first_sound: float | None = None
    tracks: tuple[AudioTrack, ...] = ()
    skip: int = 0
    plain: range | None = None

    def with_track(self, track: AudioTrack) -> Media:
        """The same file with another audio stream."""
        return replace(
            self,
            stream_index=track.index,
            codec=track.codec,
            channels=track.channels,
            layout=track.layout,
            stated_end=track.stated_end,
            first_sound=track.first_sound,
        )
