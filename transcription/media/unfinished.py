"""Whether a file of a format that states no length ends within a frame or a packet, as it does where it was cut.

A cut between two of them cannot be told from an end.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from transcription.media.intake.containers import ID3_HEADER_BYTES, TS_PACKET_BYTES, id3_length

Read = Callable[[int, int], bytes]  # of a place and a length: as many bytes from there on, fewer at the end

# 3GPP TS 26.101 and 26.201, RFC 4867: bytes of a frame by its type, 0 for a type that does not occur.
AMR_FRAMES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)
AMR_WB_FRAMES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)
AMR_UNUSED = 0x83  # bits of the first byte of a frame that are 0
AMR_KINDS = {b"#!AMR\n": AMR_FRAMES, b"#!AMR-WB\n": AMR_WB_FRAMES}
AMR_LONGEST = 2_000_000  # frames that are followed from the first one, 11 hours: they have no sync word
AMR_BLOCK = 1 << 16  # bytes read at once

FLAC_STREAMINFO = 42  # bytes, with the marker and the header of the block
FLAC_FRAME_HEADER = 16  # bytes at most
FLAC_FRAMES = 3  # last ones that are checked: what looks like a frame may be sound
_FLAC_SYNC = re.compile(rb"\xff[\xf8\xf9]")
ID3V1_BYTES, APE_FOOTER_BYTES = 128, 32

TS_PACKET = 188  # bytes from the sync byte on
TS_SYNC = 0x47
TS_TAIL = 16  # packets in a row

PS_TAIL = 1 << 17  # bytes, of packs that have 2048 or little more
PS_TRIES = 8  # packs from which their packets are followed: what looks like one may be sound
PS_END, PS_PACK = 0xB9, 0xBA  # start codes; those above are followed by a length
_PACK = bytes((0, 0, 1, PS_PACK))
_PACKET = re.compile(rb"\x00*\x00\x00\x01([\xb9-\xff])", re.DOTALL)


def amr(read: Read, size: int) -> bool:
    """The last frame is cut, and not of zeros, with which recorders fill up blocks."""
    head = read(0, 16)
    magic = next((each for each in AMR_KINDS if head.startswith(each)), None)
    if magic is None:  # several channels
        return False
    lengths = [0 if byte & AMR_UNUSED else AMR_KINDS[magic][byte >> 3 & 15] for byte in range(256)]
    place, start, block = len(magic), 0, b""
    frame = place
    for _ in range(AMR_LONGEST):
        if place >= size:
            return place > size and any(read(frame, size - frame))
        if not 0 <= place - start < len(block):
            start, block = place, read(place, AMR_BLOCK)
        length = lengths[block[place - start]]
        if not length:
            return False
        frame, place = place, place + length
    return False


def flac(read: Read, size: int) -> bool:
    """No frame ends where the file ends, by its checksum. A file whose header counts the samples is judged by them."""
    start = id3_length(read(0, ID3_HEADER_BYTES))
    info = read(start, FLAC_STREAMINFO)
    if len(info) < FLAC_STREAMINFO or not info.startswith(b"fLaC"):
        return False
    fields = int.from_bytes(info[18:26], "big")  # rate 20 bits, channels 3, sample size 5, samples 36
    if fields & (1 << 36) - 1:
        return False
    channels, sample_bits = (fields >> 41 & 7) + 1, (fields >> 36 & 31) + 1
    longest_frame = int.from_bytes(info[10:12], "big") * channels * (sample_bits + 1) // 8 + 1024
    tail = read(max(start, size - longest_frame - ID3V1_BYTES), longest_frame + ID3V1_BYTES)
    if tail[-APE_FOOTER_BYTES:].startswith(b"APETAGEX"):  # written after the last frame
        return False
    if tail[-ID3V1_BYTES:].startswith(b"TAG"):
        tail = tail[:-ID3V1_BYTES]
    frames = [match.start() for match in _FLAC_SYNC.finditer(tail) if _is_flac_header(tail, match.start())]
    last = frames[-FLAC_FRAMES:]
    return bool(last) and all(_checksum(tail[frame:], CRC_16, 16) for frame in reversed(last))


def _is_flac_header(tail: bytes, place: int) -> bool:
    """Whether the header of a frame begins here: it ends with a checksum of its own."""
    header = tail[place : place + FLAC_FRAME_HEADER]
    if len(header) < FLAC_FRAME_HEADER or header[2] >> 4 == 0 or header[2] & 15 == 15 or header[3] & 1:
        return False
    number = 1
    while number < 7 and header[4] << number & 0x80 and header[4] >= 0xC0:  # as long as in UTF-8
        number += 1
    length = 4 + number + {6: 1, 7: 2}.get(header[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    return length < len(header) and _checksum(header[: length + 1], CRC_8, 8) == 0


def mpeg_ts(read: Read, size: int) -> bool:
    """The last packet is cut. Recordings of broadcasts begin and end within a frame, but with whole packets."""
    for step in TS_PACKET_BYTES:
        tail = read(max(0, size - TS_TAIL * step), TS_TAIL * step)
        for first in range(min(step, len(tail))):
            if all(byte == TS_SYNC for byte in tail[first::step]):
                return (len(tail) - first) % step not in (0, *range(TS_PACKET, step))
    return False


def mpeg_ps(read: Read, size: int) -> bool:
    """The last packet is cut, by its length."""
    tail = read(max(0, size - PS_TAIL), PS_TAIL)
    place = -1
    for _ in range(PS_TRIES):
        place = tail.find(_PACK, place + 1)
        if place < 0:
            return False
        end = _end_of_packets(tail, place)
        if end is not None:
            return end > len(tail)
    return False


def _end_of_packets(tail: bytes, place: int) -> int | None:
    """Where the packets from `place` on end, perhaps after the end of the file; None if something else follows them."""
    while place < len(tail):
        code = _PACKET.match(tail, place)  # the sectors of a Video CD are filled with zeros
        if code is None:
            return None
        if code[1][0] == PS_END:
            return len(tail)
        place = code.start(1) - 3
        is_pack = code[1][0] == PS_PACK
        place += _pack_bytes(tail, place) if is_pack else 6 + int.from_bytes(tail[place + 4 : place + 6], "big")
    return place


def _pack_bytes(tail: bytes, place: int) -> int:
    """Length of the header of a pack."""
    head = tail[place : place + 14]
    if len(head) < 14 or head[4] >> 6 != 1:
        return 12  # of MPEG-1
    return 14 + (head[13] & 7)


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    values = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> bits - 1 else 0)
        values.append(value & (1 << bits) - 1)
    return tuple(values)


CRC_8, CRC_16 = _table(0x107, 8), _table(0x18005, 16)


def _checksum(data: bytes, table: tuple[int, ...], bits: int) -> int:
    """The remainder of data and the checksum at its end: 0 if they agree."""
    remainder, mask, shift = 0, (1 << bits) - 1, bits - 8
    for byte in data:
        remainder = (remainder << 8 & mask) ^ table[remainder >> shift ^ byte]
    return remainder
