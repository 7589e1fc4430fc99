"""Whether the structure of a file shows that its end is missing.

Decoders say so for some containers only, and read the others to their end without a word.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

from transcription.media.intake.containers import ID3_HEADER_BYTES, id3_length
from transcription.media.intake.frames import ends_within_frame
from transcription.media.unfinished import Read, amr, flac, mpeg_ps, mpeg_ts

MAX_CHUNKS = 1000  # of a RIFF file before its samples; a handful is usual
UNKNOWN_SIZE = 0x7FFF_0000  # and above: written by programs that could not go back to write the real one
# Bytes by which programs miscount, such as the length of a header; in WAV at most a tenth of a second.
RIFF_TOLERANCE, LEAST_TOLERANCE = 4096, 256
CAF_HEADER_BYTES = 8
# Wave64: the length of a GUID and of the size after it, and the GUID of the samples.
W64_GUID, W64_SIZE = 16, 8
W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
OGG_TAIL = 1 << 17  # bytes; a page has at most 65 307
OGG_HEADER = 27
ASF_HEADER_BYTES = 1 << 16  # the properties are among the first objects
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_BROADCAST = 1  # flag: the sizes are not valid
FLV_HEAD = 1 << 14  # the metadata is the first tag
FLV_SIZE = b"\x00\x08filesize\x00"  # length and name of the value, and its type: a number
FLV_TOLERANCE = 4096  # bytes, at most half a second of sound: programs miscount by the metadata they rewrote
MP3_HEAD = 1 << 12
MP3_TAIL = 1 << 15  # bytes; several frames
MP3_FRAME_BYTES = 1441  # the largest frame of layer III; some writers do not count the last or the first one
XING_BYTES_FLAG = 2


def breaks_off(file: BinaryIO, size: int, demuxer: str, skip: int = 0) -> bool:
    """Whether the container states more bytes than there are, or its last page or frame is cut.

    file: positioned anywhere. size: bytes in it. demuxer: ffmpeg's name of the container; False for one that is not
    known here. skip: bytes before the container. No content raises.
    """
    check = _CHECKS.get(demuxer)
    if check is None:
        return False
    size -= skip

    def read(place: int, length: int) -> bytes:
        if place >= size:  # perhaps further than a file can be
            return b""
        file.seek(skip + place)
        return file.read(length)

    return check(read, size)


def _riff(read: Read, size: int) -> bool:
    """WAV and AVI: the size of the chunk with the samples; RF64 states it elsewhere."""
    head = read(0, 12)
    if head[:4] != b"RIFF" or len(head) < 12:
        return False
    place, tolerance = 12, RIFF_TOLERANCE
    for _ in range(MAX_CHUNKS):
        chunk = read(place, 20)
        if len(chunk) < 8:
            return False
        name, length = chunk[:4], int.from_bytes(chunk[4:8], "little")
        if name == b"fmt ":
            bytes_per_second = int.from_bytes(chunk[16:], "little")
            tolerance = min(RIFF_TOLERANCE, max(LEAST_TOLERANCE, bytes_per_second // 10))
        holds_samples = name == b"data" or (name == b"LIST" and chunk[8:12] == b"movi")
        end = place + 8 + length
        if holds_samples:
            return 0 < length < UNKNOWN_SIZE and end > size + tolerance
        place = end + length % 2
    return False


def _caf(read: Read, size: int) -> bool:
    """The size of the chunk with the samples; -1 if the program could not go back to write it."""
    place = CAF_HEADER_BYTES
    for _ in range(MAX_CHUNKS):
        chunk = read(place, 12)
        if len(chunk) < 12:
            return False
        length = int.from_bytes(chunk[4:], "big", signed=True)
        place += 12 + length
        if chunk.startswith(b"data") or length < 0:
            return length > 0 and place > size
    return False


def _w64(read: Read, size: int) -> bool:
    """The size of the chunk with the samples. Sizes include the header of the chunk; chunks begin at multiples of 8."""
    place = 2 * W64_GUID + W64_SIZE
    for _ in range(MAX_CHUNKS):
        chunk = read(place, W64_GUID + W64_SIZE)
        length = int.from_bytes(chunk[W64_GUID:], "little")
        if len(chunk) < W64_GUID + W64_SIZE or length < W64_GUID + W64_SIZE:
            return False
        if chunk.startswith(W64_DATA):
            return place + length > size
        place += length + -length % 8
    return False


def _ogg(read: Read, size: int) -> bool:
    """The last page is cut. A missing end-of-stream flag says nothing: streams are recorded without one."""
    start = max(0, size - OGG_TAIL)
    tail = read(start, OGG_TAIL)
    place = tail.rfind(b"OggS")
    if place < 0:
        return False
    header = tail[place : place + OGG_HEADER]
    if len(header) < OGG_HEADER:
        return True
    segments = tail[place + OGG_HEADER : place + OGG_HEADER + header[26]]
    return len(segments) < header[26] or start + place + OGG_HEADER + header[26] + sum(segments) > size


def _asf(read: Read, size: int) -> bool:
    """WMA and WMV: the size in the file properties."""
    head = read(0, ASF_HEADER_BYTES)
    place = head.find(ASF_FILE_PROPERTIES)
    properties = head[place + 24 : place + 92]  # after the GUID and the size of the object
    if place < 0 or len(properties) < 68:
        return False
    stated = int.from_bytes(properties[16:24], "little")
    flags = int.from_bytes(properties[64:68], "little")
    return flags & ASF_BROADCAST == 0 and stated > size


def _flv(read: Read, size: int) -> bool:
    """The size in the metadata; 0 in a stream, whose writer could not go back to write it."""
    head = read(0, FLV_HEAD)
    place = head.find(FLV_SIZE)
    number = head[place + len(FLV_SIZE) : place + len(FLV_SIZE) + 8]
    if place < 0 or len(number) < 8:
        return False
    return bool(struct.unpack(">d", number)[0] > size + FLV_TOLERANCE)


def _mp3(read: Read, size: int) -> bool:
    """The size in the Xing or Info header, if the first frame has one; otherwise the last frame is cut."""
    start = id3_length(read(0, ID3_HEADER_BYTES))
    stated = _xing_bytes(read(start, MP3_HEAD))
    if stated:
        return start + stated > size + MP3_FRAME_BYTES
    return ends_within_frame(read(max(0, size - MP3_TAIL), MP3_TAIL))


def _xing_bytes(head: bytes) -> int:
    """The stated number of bytes from the first frame on; 0 if there is none."""
    place = max(head.find(b"Xing"), head.find(b"Info"))
    if place < 0 or len(head) < place + 16:
        return 0
    flags, first, second = struct.unpack_from(">III", head, place + 4)
    stated = int(second if flags & 1 else first)
    return stated if flags & XING_BYTES_FLAG and stated < UNKNOWN_SIZE else 0


_CHECKS: dict[str, Callable[[Read, int], bool]] = {
    "wav": _riff,
    "avi": _riff,
    "caf": _caf,
    "w64": _w64,
    "ogg": _ogg,
    "asf": _asf,
    "flv": _flv,
    "mp3": _mp3,
    "amr": amr,
    "flac": flac,
    "mpegts": mpeg_ts,
    "mpeg": mpeg_ps,
}
