"""Tells compressed audio without a mark of its own from raw samples, by the first bytes of a stream.

The sync word of a frame is two bytes long or less, and samples have any bytes: several frames in a row decide.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from transcription.media.intake.containers import AC3_LAST_BSID, TS_PACKET_BYTES
from transcription.media.intake.frames import FRAMES_IN_A_ROW, adts_frame, mpeg_frame

LengthAt = Callable[[bytes, int], tuple[int, int]]  # of a frame at a place, and its kind
# Enough for ten of the longest frames. What is the same all over again for so long is a tone, not frames of silence.
DECIDING_BYTES = 1 << 16
HEADER_BYTES = 7  # of the longest header
# ATSC A/52: kbit/s by the upper bits of the frame size code.
_AC3_BIT_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_EAC3_LAST_BSID = 16
_TIME_CODE_BYTES = 4  # before each packet of M2TS


def begins_with_frames(data: bytes) -> bool | None:
    """Whether frames of compressed audio, or packets of MPEG-TS, follow each other from the first byte on.

    None: more bytes have to tell, at most DECIDING_BYTES in all.
    """
    rows = {_is_row(data, length_at) for length_at in _FORMATS}
    if True in rows:
        return True
    return None if None in rows else False


def _is_row(data: bytes, length_at: LengthAt) -> bool | None:
    frames: list[bytes] = []
    place, first_kind = 0, None
    while place + HEADER_BYTES <= len(data):
        length, kind = length_at(data, place)
        if not length or (frames and kind != first_kind):
            return False
        if place + length > len(data):
            break
        frames.append(data[place : place + length])
        # Frames that are all the same are silence, or the periods of a tone that was sampled.
        if len(frames) >= FRAMES_IN_A_ROW and frames[-1] != frames[0]:
            return True
        place, first_kind = place + length, kind
    return None if len(data) < DECIDING_BYTES else False


def _ac3_frame(data: bytes, place: int) -> tuple[int, int]:
    """Length in bytes of the frame of AC-3 or E-AC-3 at `place`, and a number for its kind; 0 without one."""
    header = data[place : place + HEADER_BYTES]
    version, rate, code = header[5] >> 3, header[4] >> 6, header[4] & 63
    if not header.startswith(b"\x0b\x77") or version > _EAC3_LAST_BSID:
        return 0, 0
    if version > AC3_LAST_BSID:
        return 2 * (((header[2] & 7) << 8 | header[3]) + 1), version
    if rate == 3 or code >> 1 >= len(_AC3_BIT_RATES):
        return 0, 0
    kilobits = _AC3_BIT_RATES[code >> 1]
    words = (2 * kilobits, kilobits * 320 // 147 + (code & 1), 3 * kilobits)[rate]  # 48, 44.1 and 32 kHz
    return 2 * words, version << 2 | rate


def _packet(data: bytes, place: int, *, size: int, sync: int) -> tuple[int, int]:
    """The same of a packet of MPEG-TS. size: in bytes. sync: where in it its sync byte is."""
    return (size if data[place + sync] == 0x47 else 0), 0


_FORMATS: tuple[LengthAt, ...] = (
    mpeg_frame,
    adts_frame,
    _ac3_frame,
    *(partial(_packet, size=size, sync=0) for size in TS_PACKET_BYTES),
    partial(_packet, size=188 + _TIME_CODE_BYTES, sync=_TIME_CODE_BYTES),
)
