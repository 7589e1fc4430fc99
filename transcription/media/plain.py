"""WAV files of what the model takes, 16-bit mono samples at 16 kHz. Voice assistants send them; they need no decoder.

Decides only. A file with anything unusual, or whose sizes do not add up, is for the decoder.
"""

from __future__ import annotations

from typing import Any

from transcription.core.audio import SAMPLE_RATE
from transcription.media.completeness import UNKNOWN_SIZE, Ending
from transcription.media.intake.containers import RAW_PCM

SAMPLE_BYTES = 2
FORMATS = (RAW_PCM, RAW_PCM + bytes(2))  # without and with the length of an extension that it does not have
WITHOUT_EFFECT = (b"LIST", b"JUNK")  # chunks: tags, and room for those of long files


def plain_samples(head: bytes, size: int) -> range | None:
    """The bytes of the file that are its samples. None if it has to be decoded.

    head: the beginning of a file of `size` bytes.
    """
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    place, stated = 12, b""
    while place + 8 <= len(head):
        name, length = head[place : place + 4], int.from_bytes(head[place + 4 : place + 8], "little")
        content = place + 8
        if name == b"data":
            return _whole(content, length, size) if stated in FORMATS else None
        if name == b"fmt " and not stated:
            stated = head[content : content + length]
        elif name not in WITHOUT_EFFECT:
            return None
        place = content + length + length % 2
    return None


def _whole(start: int, length: int, size: int) -> range | None:
    """The samples, if they end where the file does. length: as stated; programs that write to pipes do not know it."""
    end = size if length >= UNKNOWN_SIZE and start + length > size else start + length
    samples = range(start, end - (end - start) % SAMPLE_BYTES)
    return samples if end == size and samples else None


def description(samples: range) -> dict[str, Any]:
    """What `inspect_streams.inspect` says of such a file."""
    seconds = len(samples) / SAMPLE_BYTES / SAMPLE_RATE
    stream = {"index": 0, "type": "audio", "codec": "pcm_s16le", "default": False, "language": "", "title": ""}
    sound = {"rate": SAMPLE_RATE, "channels": 1, "layout": "1 channels", "duration": seconds, "start": None}
    return {
        "format": "wav",
        "duration": seconds,
        "start": None,
        "ending": Ending.WHOLE,
        "streams": [stream | sound],
    }
