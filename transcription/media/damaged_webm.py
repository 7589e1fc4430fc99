"""Leaves out what is damaged in a WebM recording that arrives piece by piece.

After damage ffmpeg looks for the next cluster, or takes random bytes for an element of many megabytes and decodes
nothing more. Here the next block is found that another element follows, as RFC 9559 has them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EBML, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, BLOCK = 0xE7, 0xA3, 0xA0, 0xA1
# Info, Tracks, Tags, Cues, SeekHead, Chapters, Attachments: between clusters, or before the first.
LEVEL_1 = frozenset({0x1549A966, 0x1654AE6B, 0x1254C367, 0x1C53BB6B, 0x114D9B74, 0x1043A770, 0x1941A469})
NUMBERS = frozenset({TIMESTAMP, 0xA7, 0xAB, 0xBF})  # and Position, PrevSize, CRC-32: at most 8 bytes
KNOWN = NUMBERS | LEVEL_1 | {SIMPLE_BLOCK, BLOCK_GROUP, CLUSTER, SEGMENT, EBML}  # from the first cluster on
MOST_BYTES = 1 << 20  # of an element; pictures of a video are the largest
MOST_SOUND_BYTES = 1 << 14  # of a block at which the recording is taken up again: 120 ms of Opus have 8 kB
ID_BYTES, SIZE_BYTES = 4, 8  # at most
BLOCK_HEAD_BYTES = 4  # track, time in the cluster, flags
RESERVED_FLAGS = 0x70  # of a block
# Its length is left open: what is left out would be missing.
OPEN_SIZE = b"\x01\xff\xff\xff\xff\xff\xff\xff"
_RESUMES = re.compile(rb"\x1f\x43\xb6\x75|[\xa3\xa0]")


class Damaged(Exception):
    """There is no element here."""


@dataclass(frozen=True, slots=True)
class Element:
    """The head of an element. bytes: of the head. size: of what follows it; None if it is left open."""

    id: int
    bytes: int
    size: int | None


class DamagedWebm:
    """One recording: bytes in, bytes for ffmpeg out. What does not begin like WebM passes as it is."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._rest = 0  # bytes of the current element that are to come
        self._began = False  # the first cluster has begun: before it nothing can be left out
        self._lost = False  # between damage and the next block
        self._as_it_is = False

    def add(self, data: bytes) -> bytes:
        """Take the next bytes. Returns those that can be decoded."""
        if self._as_it_is:
            return data
        self._data += data
        out = bytearray()
        while self._data and not self._as_it_is and self._step(out):
            pass
        if self._as_it_is:
            out += self._take(len(self._data))
        return bytes(out)

    def end(self) -> bytes:
        """No more bytes. Returns what was held back, because more of it was to tell what it is."""
        return b"" if self._lost else self._take(len(self._data))

    def _step(self, out: bytearray) -> bool:
        """Take one element, or what has arrived of it. False if more has to arrive first."""
        if self._rest:
            body = self._take(self._rest)
            self._rest -= len(body)
            out += body
            return True
        if self._lost and not self._find():
            return False
        try:
            element = read_element(self._data, 0)
            if element and self._began and element.id not in KNOWN:
                raise Damaged
        except Damaged:
            self._lost, self._as_it_is = True, not self._began
            return True
        if element is None:
            return False
        self._begin(element, out)
        return True

    def _begin(self, element: Element, out: bytearray) -> None:
        head = self._take(element.bytes)
        if element.id in (SEGMENT, CLUSTER):
            self._began = self._began or element.id == CLUSTER
            out += element.id.to_bytes(ID_BYTES) + OPEN_SIZE
            return
        out += head
        self._rest = element.size or 0

    def _find(self) -> bool:
        """Leave out what is before the next block or cluster. False if more has to arrive first."""
        place, found = _find_next(self._data)
        self._take(place)
        self._lost = not found
        return found

    def _take(self, count: int) -> bytes:
        taken = bytes(self._data[: max(0, count)])
        del self._data[: len(taken)]
        return taken


def read_element(data: bytes | bytearray, at: int) -> Element | None:
    """The head of the element at a place; None if more has to arrive first. Raises Damaged."""
    id_bytes = _length(data, at, ID_BYTES)
    size_bytes = _length(data, at + id_bytes, SIZE_BYTES) if id_bytes else 0
    head = id_bytes + size_bytes
    if not size_bytes or at + head > len(data):
        return None
    identity = int.from_bytes(data[at : at + id_bytes])
    mark = 1 << 7 * size_bytes
    size = int.from_bytes(data[at + id_bytes : at + head]) - mark
    is_open = size == mark - 1
    if identity in (SEGMENT, CLUSTER):
        return Element(identity, head, None if is_open else size)
    if is_open or size > (SIZE_BYTES if identity in NUMBERS else MOST_BYTES):
        raise Damaged
    return Element(identity, head, size) if _block_has_begun(data, at + head, identity, size) else None


def _length(data: bytes | bytearray, at: int, most: int) -> int:
    """Of the number at a place, whose first bit that is set tells it; 0 if it has not arrived. Raises Damaged."""
    if at >= len(data):
        return 0
    length = 9 - data[at].bit_length()
    if length > most:
        raise Damaged
    return length


def _block_has_begun(data: bytes | bytearray, at: int, identity: int, size: int) -> bool:
    """Whether enough has arrived to tell that an element holds a block; always, of others. Raises Damaged if not.

    at: of what it holds.
    """
    if identity == BLOCK_GROUP:
        if at >= len(data):
            return False
        if data[at] != BLOCK:
            raise Damaged
    if identity != SIMPLE_BLOCK:
        return True
    if size < BLOCK_HEAD_BYTES:
        raise Damaged
    if at + BLOCK_HEAD_BYTES > len(data):
        return False
    track, flags = data[at], data[at + BLOCK_HEAD_BYTES - 1]
    if track <= 0x80 or flags & RESERVED_FLAGS:
        raise Damaged
    return True


def _resumes(data: bytearray, at: int) -> bool:
    """Whether the recording can be taken up at a place; False if more has to arrive first. Raises Damaged."""
    element = read_element(data, at)
    if element is None:
        return False
    size = 0 if element.id == CLUSTER else element.size or 0
    if size > MOST_SOUND_BYTES:
        raise Damaged
    after = read_element(data, at + element.bytes + size)
    if after and after.id not in KNOWN:
        raise Damaged
    return after is not None


def _find_next(data: bytearray) -> tuple[int, bool]:
    """Where the recording can be taken up, and True; where that may be once more has arrived, and False."""
    for match in _RESUMES.finditer(data):
        try:
            return match.start(), _resumes(data, match.start())
        except Damaged:
            continue
    return max(0, len(data) - ID_BYTES + 1), False
