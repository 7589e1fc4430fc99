"""Finds MPEG audio and AAC that do not start at the first byte: after zeros, junk, or half a frame."""

from __future__ import annotations

import re
from collections.abc import Callable

SCAN_BYTES = 1 << 20  # of a file in which the first frame is looked for
TEXT_BYTES = 2048  # without another byte show a text; the filling of an MP3 frame looks like text, too, but ends before
FRAMES_IN_A_ROW = 4  # chance makes two; a picture or an archive does not make four
_SYNC = re.compile(rb"\xff[\xe0-\xff]")

# ISO 11172-3 and 13818-3: kbit/s by index, of MPEG-1 layers I, II, III and of MPEG-2 layer I, and layers II and III.
_BIT_RATES = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)  # Hz, of MPEG-1
_RATE_DIVISORS = {3: 1, 2: 2, 0: 4}  # by version: MPEG-1, 2, 2.5
_MPEG_HEADER, _ADTS_HEADER = 4, 7  # bytes

# Beginnings of files that are no sound, though they may contain some.
_NO_SOUND = (
    *(b"PK\x03\x04", b"PK\x05\x06", b"%PDF", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\x7fELF", b"MZ", b"\x1f\x8b"),
    *(b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ", b"RIFF", b"SQLite", b"\xca\xfe\xba\xbe", b"II*\0", b"MM\0*"),
)


def find_frames(data: bytes) -> tuple[str, int] | None:
    """The demuxer ("mp3" or "aac") and the position of the first of several frames in a row; None without any.

    data: the start of a file, at most SCAN_BYTES of it are searched.
    """
    if data.startswith(_NO_SOUND) or _is_text(data[:TEXT_BYTES]):
        return None
    for match in _SYNC.finditer(data, 0, SCAN_BYTES):
        for demuxer, length_at in _FORMATS.items():
            if _is_row(data, match.start(), length_at):
                return demuxer, match.start()
    return None


def ends_within_frame(tail: bytes) -> bool:
    """Whether MPEG audio ends in the middle of a frame, as a download does that was interrupted.

    tail: the end of a file, at least several frames of it. What follows the last frame may be tags or anything else.
    """
    found = find_frames(tail)
    if found is None or found[0] != "mp3":
        return False
    place = found[1]
    while length := mpeg_frame(tail, place)[0]:
        place += length
    rest = tail[place:]
    return place > len(tail) or (0 < len(rest) < _MPEG_HEADER and rest[0] == 0xFF)


def _is_text(head: bytes) -> bool:
    return bool(head) and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)


def _is_row(data: bytes, place: int, length_at: Callable[[bytes, int], tuple[int, int]]) -> bool:
    """Whether frames of one kind follow each other from `place` on."""
    kind = None
    for _ in range(FRAMES_IN_A_ROW):
        length, found = length_at(data, place)
        if not length or (kind is not None and found != kind):
            return False
        kind = found
        place += length
    return True


def mpeg_frame(data: bytes, place: int) -> tuple[int, int]:
    """Length in bytes of the frame of MPEG audio at `place` and a number for its kind; 0 without one."""
    header = data[place : place + _MPEG_HEADER]
    if len(header) < _MPEG_HEADER or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0, 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bit_rate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version not in _RATE_DIVISORS or layer > 3 or bit_rate in (0, 15) or rate == 3:
        return 0, 0
    mpeg_1 = version == 3
    kilobits = _BIT_RATES[mpeg_1, layer][bit_rate]
    hertz = _RATES[rate] // _RATE_DIVISORS[version]
    kind = header[1] & 0xFE | rate << 8
    if layer == 1:
        return (12_000 * kilobits // hertz + padding) * 4, kind
    return (144_000 if mpeg_1 or layer == 2 else 72_000) * kilobits // hertz + padding, kind


def adts_frame(data: bytes, place: int) -> tuple[int, int]:
    """As `mpeg_frame`, for AAC."""
    header = data[place : place + _ADTS_HEADER]
    if len(header) < _ADTS_HEADER or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0, 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return (length if length > _ADTS_HEADER else 0), header[1] | (header[2] & 0xFD) << 8


_FORMATS = {"mp3": mpeg_frame, "aac": adts_frame}
