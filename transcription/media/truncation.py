"""Whether a decoded file breaks off: its container, its decoder, or the count of its samples says so."""

from __future__ import annotations

from collections.abc import Sequence

from transcription.core.transcript import TRUNCATED_MEDIA, Notice
from transcription.media.completeness import Ending
from transcription.media.decoder_end import Message
from transcription.media.media import Media

# A container may count up to some frames more than a decoder returns, and round the durations of packets.
TOLERANCE_SECONDS, TOLERANCE_SHARE = 1.0, 0.01
EXACT, EXACT_SECONDS = frozenset({"flac", "aiff", "au", "wv"}), 0.05  # these count every sample
# What ffmpeg says where a file ends in the middle of something, by demuxer.
CUT_TEXTS = {
    "mov": ("partial file",),
    "matroska": ("File ended prematurely",),
    "aac": ("Packet corrupt (stream = ",),
    "avi": ("Packet corrupt (stream = ",),
    "flv": ("Packet corrupt (stream = ",),
    "ac3": ("incomplete frame",),
    "eac3": ("incomplete frame",),
    # It gives up where a second recording follows that has another codec or other channels.
    "ogg": ("Error during demuxing",),
    # As for Ogg; the text goes on with what the first one had.
    "wv": (", header block: ",),
    # It drops the frames of a second recording that has larger ones, or samples of other sizes.
    "flac": ("switching bps mid-stream", "blocksize "),
}
# What ffmpeg says of damage that may end the file for it, or only a part. The duration that the file claims tells.
DAMAGE_TEXTS = {
    "matroska": ("invalid as first byte of an EBML number", "exceeds containing master element"),
}


def reaches_stated_end(media: Media, seconds: float) -> bool:
    """Whether the decoded seconds are about as many as a header counts; False if none does."""
    if media.stated_end is None:
        return False
    tolerance = max(TOLERANCE_SECONDS, media.stated_end * TOLERANCE_SHARE)
    return seconds >= media.stated_end - (EXACT_SECONDS if media.demuxer in EXACT else tolerance)


def ending_notices(media: Media, seconds: float, messages: Sequence[Message]) -> list[Notice]:
    """The notice for a file that breaks off; none for a complete one. seconds: decoded. messages: of ffmpeg."""
    falls_short = media.stated_end is not None and not reaches_stated_end(media, seconds)
    is_cut = _says(messages, CUT_TEXTS.get(media.demuxer, ()))
    is_damaged = _says(messages, DAMAGE_TEXTS.get(media.demuxer, ())) and seconds < _claimed(media) - TOLERANCE_SECONDS
    if not (falls_short or is_cut or is_damaged or media.ending is Ending.BREAKS_OFF):
        return []
    stated = media.stated_end if falls_short else None
    lacking = f", of {stated:.2f} s that it states" if stated else ""
    return [
        Notice(
            TRUNCATED_MEDIA,
            f"The file breaks off after {seconds:.2f} s of sound{lacking}: its end is missing or cannot be read. The "
            "transcript covers what there is. Send the complete file for the rest, and joined files one by one.",
            start=seconds,
            end=stated,
        )
    ]


def _says(messages: Sequence[Message], texts: Sequence[str]) -> bool:
    return any(text in message.text for message in messages for text in texts)


def _claimed(media: Media) -> float:
    """Seconds of sound that the file claims; 0 if it claims nothing."""
    return (media.duration or 0.0) - (media.start or 0.0)
