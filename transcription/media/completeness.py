"""Whether the structure of a file shows that its end is missing, or will not be read.

Decoders say so for some containers only, and read the others to their end without a word. In most they read the first
of several recordings that were joined, and nothing after it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from enum import StrEnum
from typing import BinaryIO

from transcription.media.intake.containers import ID3_HEADER_BYTES, id3_length
from transcription.media.intake.frames import ends_within_frame
from transcription.media.unfinished import Read, amr, flac, mpeg_ps, mpeg_ts

RIFF = frozenset({"wav", "avi"})  # demuxers
MAX_CHUNKS = 1000  # of a RIFF file before its samples; a handful is usual
UNKNOWN_SIZE = 0x7FFF_0000  # and above: written by programs that could not go back to write the real one
# Bytes by which programs miscount, such as the length of a header; in WAV at most a tenth of a second.
RIFF_TOLERANCE, LEAST_TOLERANCE = 4096, 256
ZEROS_BLOCK = 1 << 16  # bytes, an even number
CAF_HEADER_BYTES = 8
MAX_BOXES = 200_000  # of an MP4 file, two or three for each fragment
MOV_SEARCH = 1 << 22  # bytes after damage in which another fragment is looked for
# Wave64: the length of a GUID and of the size after it, and the GUIDs of a file and of its samples.
W64_GUID, W64_SIZE = 16, 8
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
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
WV_BLOCK = b"wvpk"
WV_HEADER = re.compile(rb"wvpk....[\x02-\x10]\x04", re.DOTALL)  # its size and the versions of the format
WV_SEARCH = 1 << 22  # bytes in which another file is looked for, behind tags that may have pictures


class Ending(StrEnum):
    """How a file ends, as far as its structure shows.

    BREAKS_OFF: the container states more bytes than there are, its last page or frame is cut, or what follows is not
    read, such as a second file. UNCOUNTED: samples follow those that a WAV file counts; recorders write the header anew
    now and then, if at all.
    """

    WHOLE = "whole"
    BREAKS_OFF = "breaks_off"
    UNCOUNTED = "uncounted"


def ending_of(file: BinaryIO, size: int, demuxer: str, skip: int = 0) -> Ending:
    """How a file ends; WHOLE if its container is not known here.

    file: positioned anywhere. size: bytes in it. demuxer: ffmpeg's name of the container. skip: bytes before the
    container. No content raises.
    """
    size -= skip

    def read(place: int, length: int) -> bytes:
        if place >= size:  # perhaps further than a file can be
            return b""
        file.seek(skip + place)
        return file.read(length)

    if demuxer in RIFF:
        return _riff(read, size)
    check = _CHECKS.get(demuxer)
    return Ending.BREAKS_OFF if check and check(read, size) else Ending.WHOLE


def _riff(read: Read, size: int) -> Ending:
    """WAV and AVI: the size of the chunk with the samples, and in WAV what follows it; RF64 states it elsewhere."""
    head = read(0, 12)
    if head[:4] != b"RIFF" or len(head) < 12:
        return Ending.WHOLE
    place, second, tolerance = 12, 0, RIFF_TOLERANCE
    for _ in range(MAX_CHUNKS):
        chunk = read(place, 20)
        if len(chunk) < 8:
            return Ending.WHOLE
        name, length = chunk[:4], int.from_bytes(chunk[4:8], "little")
        if name == b"fmt ":
            second = int.from_bytes(chunk[16:], "little")
            tolerance = min(RIFF_TOLERANCE, max(LEAST_TOLERANCE, second // 10))
        end = place + 8 + length
        if name == b"data" or (name == b"LIST" and chunk[8:12] == b"movi"):
            counted = 0 < length < UNKNOWN_SIZE
            if counted and end > size + tolerance:
                return Ending.BREAKS_OFF
            is_wav = head[8:12] == b"WAVE"
            return _after_samples(read, size, end, second) if counted and is_wav else Ending.WHOLE
        place = end + length % 2
    return Ending.WHOLE


def _after_samples(read: Read, size: int, end: int, second: int) -> Ending:
    """How a WAV file ends. end: of the samples that it counts. second: bytes of one second."""
    place = first = _after_zeros(read, end + end % 2)
    for _ in range(MAX_CHUNKS):
        chunk = read(place, 8)
        name, length = chunk[:4], int.from_bytes(chunk[4:], "little")
        if len(chunk) < 8:
            return Ending.WHOLE
        if name in (b"RIFF", b"RF64"):
            return Ending.BREAKS_OFF
        named = not any(name) or (name.isascii() and name.decode().isprintable())
        if not named or place + 8 + length > size + 1:  # no chunk, or not a whole one
            if size - end <= max(second, RIFF_TOLERANCE):
                return Ending.WHOLE
            return Ending.BREAKS_OFF if named or place > first else Ending.UNCOUNTED
        place += 8 + length + length % 2
    return Ending.WHOLE


def _after_zeros(read: Read, place: int) -> int:
    """The even place from which on there is something: programs fill with zeros, and recordings begin with silence."""
    while block := read(place, ZEROS_BLOCK):
        if any(block):
            skipped = len(block) - len(block.lstrip(b"\0"))
            return place + skipped - skipped % 2
        place += len(block)
    return place


def _caf(read: Read, size: int) -> bool:
    """The size of the chunk with the samples; -1 if the program could not go back to write it."""
    place = CAF_HEADER_BYTES
    for _ in range(MAX_CHUNKS):
        chunk = read(place, 12)
        if len(chunk) < 12:
            return False
        if chunk.startswith(b"caff"):
            return True
        length = int.from_bytes(chunk[4:], "big", signed=True)
        place += 12 + length
        if length < 0 or (chunk.startswith(b"data") and place > size):
            return length > 0
    return False


def _w64(read: Read, size: int) -> bool:
    """The size of the chunk with the samples. Sizes include the header of the chunk; chunks begin at multiples of 8."""
    place = 2 * W64_GUID + W64_SIZE
    for _ in range(MAX_CHUNKS):
        chunk = read(place, W64_GUID + W64_SIZE)
        length = int.from_bytes(chunk[W64_GUID:], "little")
        if len(chunk) < W64_GUID + W64_SIZE or length < W64_GUID + W64_SIZE:
            return False
        if chunk.startswith(W64_RIFF) or (chunk.startswith(W64_DATA) and place + length > size):
            return True
        place += length + -length % 8
    return False


def _aiff(read: Read, size: int) -> bool:
    """A second file follows. ffmpeg says where samples are missing."""
    length = int.from_bytes(read(4, 4), "big")
    return read(8 + length + length % 2, 4) == b"FORM"


def _mov(read: Read, size: int) -> bool:
    """A fragment is cut, or ffmpeg ends at damage between fragments, or at a second file."""
    place, has_movie, has_fragments = 0, False, False
    for _ in range(MAX_BOXES):
        box = read(place, 16)
        length, name = int.from_bytes(box[:4], "big"), box[4:8]
        if length == 1:
            length = int.from_bytes(box[8:], "big")
        if len(box) < 8 or (name == b"ftyp" and has_movie):
            return len(box) >= 8 and not has_fragments  # ffmpeg goes on with further fragments
        if length < 8 or not name.isalnum():
            return has_fragments and b"moof" in read(place, MOV_SEARCH)
        has_movie, has_fragments = has_movie or name == b"moov", has_fragments or name == b"moof"
        place += length
        if place > size:
            return has_fragments
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
    """WMA and WMV: the size in the file properties. Objects are a GUID and a size; a second header is another file."""
    head = read(0, ASF_HEADER_BYTES)
    place = head.find(ASF_FILE_PROPERTIES)
    properties = head[place + 24 : place + 92]  # after the GUID and the size of the object
    if place < 0 or len(properties) < 68:
        return False
    stated = int.from_bytes(properties[16:24], "little")
    flags = int.from_bytes(properties[64:68], "little")
    return flags & ASF_BROADCAST == 0 and (stated > size or read(stated, 16) == head[:16])


def _flv(read: Read, size: int) -> bool:
    """The size in the metadata, and whether another file begins there; 0 in a stream, where it was not known."""
    head = read(0, FLV_HEAD)
    place = head.find(FLV_SIZE)
    number = head[place + len(FLV_SIZE) : place + len(FLV_SIZE) + 8]
    if place < 0 or len(number) < 8:
        return False
    (stated,) = struct.unpack(">d", number)
    return bool(stated > size + FLV_TOLERANCE or (0 < stated < size and read(int(stated), 4) == b"FLV\x01"))


def _mp3(read: Read, size: int) -> bool:
    """The size in the Xing or Info header, if the first frame has one; otherwise the last frame is cut."""
    start = id3_length(read(0, ID3_HEADER_BYTES))
    stated = _xing_bytes(read(start, MP3_HEAD))
    if stated:
        return start + stated > size + MP3_FRAME_BYTES
    return ends_within_frame(read(max(0, size - MP3_TAIL), MP3_TAIL))


def _wv(read: Read, size: int) -> bool:
    """A second file follows the tag of the first, where ffmpeg ends. The count of samples tells of a missing end."""
    place = 0
    for _ in range(MAX_BOXES):
        block = read(place, 8)
        if not block.startswith(WV_BLOCK):
            return bool(WV_HEADER.search(read(place, WV_SEARCH)))
        place += 8 + int.from_bytes(block[4:], "little")
    return False


def _xing_bytes(head: bytes) -> int:
    """The stated number of bytes from the first frame on; 0 if there is none."""
    place = max(head.find(b"Xing"), head.find(b"Info"))
    if place < 0 or len(head) < place + 16:
        return 0
    flags, first, second = struct.unpack_from(">III", head, place + 4)
    stated = int(second if flags & 1 else first)
    return stated if flags & XING_BYTES_FLAG and stated < UNKNOWN_SIZE else 0


_CHECKS: dict[str, Callable[[Read, int], bool]] = {
    "caf": _caf,
    "w64": _w64,
    "aiff": _aiff,
    "wv": _wv,
    "mov": _mov,
    "ogg": _ogg,
    "asf": _asf,
    "flv": _flv,
    "mp3": _mp3,
    "amr": amr,
    "flac": flac,
    "mpegts": mpeg_ts,
    "mpeg": mpeg_ps,
}
