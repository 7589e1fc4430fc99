"""Observations as text, so that an interrupted run need not make them again: about 350 bytes for a second of sound.

A chunk has those of consecutive windows, and says which is its first. Arrays follow one another as they are in memory,
little-endian, compressed, in base 85.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from transcription.diarization.observations import VOICE_NUMBERS, Observation

_WHOLE, _REAL, _VOICE = "<i4", "<f8", "<f2"
_COLUMNS: tuple[tuple[str, str], ...] = (("locals", "<i1"), ("starts", "<i2"), ("ends", "<i2"), ("seconds", "<f4"))
FAST = 1  # level of zlib; half-precision numbers hardly get smaller
UNREADABLE = (ValueError, IndexError, zlib.error)


def packed(first: int, seen: Sequence[Observation]) -> str:
    """The observations of consecutive windows. first: the number of the first window, from 0."""
    counts = [(each.first_frame, len(each.sets), len(each.locals)) for each in seen]
    arrays: list[NDArray[Any]] = [
        np.array([first, len(seen)], _WHOLE),
        np.array(counts, _WHOLE),
        np.array([each.band_gap for each in seen], _REAL),
        *(each.sets.astype("<u1") for each in seen),
        *(getattr(each, name).astype(kind) for name, kind in _COLUMNS for each in seen),
        *(each.voices.astype(_VOICE) for each in seen),
    ]
    return base64.b85encode(zlib.compress(b"".join(array.tobytes() for array in arrays), FAST)).decode()


def unpacked(text: str) -> tuple[int, list[Observation]]:
    """What `packed` was given. Raises one of UNREADABLE."""
    reader = _Reader(zlib.decompress(base64.b85decode(text)))
    first, number = (int(each) for each in reader.take(2, _WHOLE))
    counts = reader.take(3 * number, _WHOLE).reshape(-1, 3)
    gaps = reader.take(number, _REAL)
    frames, pieces = counts[:, 1].tolist(), counts[:, 2].tolist()
    sets = reader.split(frames, "<u1")
    columns = {name: reader.split(pieces, kind) for name, kind in _COLUMNS}
    voices = reader.split([each * VOICE_NUMBERS for each in pieces], _VOICE)
    return first, [
        Observation(
            first_frame=int(counts[place, 0]),
            sets=sets[place].astype(np.uint8),
            locals=columns["locals"][place].astype(np.int8),
            starts=columns["starts"][place].astype(np.int16),
            ends=columns["ends"][place].astype(np.int16),
            seconds=columns["seconds"][place].astype(np.float32),
            voices=voices[place].reshape(-1, VOICE_NUMBERS).astype(np.float32),
            band_gap=float(gaps[place]),
        )
        for place in range(number)
    ]


def restored(chunks: Iterable[str]) -> list[Observation]:
    """The observations from the first window on, up to the first one that is missing or cannot be read."""
    seen: list[Observation] = []
    for chunk in chunks:
        try:
            first, more = unpacked(chunk)
        except UNREADABLE:
            break
        if first > len(seen):
            break
        seen.extend(more[len(seen) - first :])
    return seen


class _Reader:
    """Takes arrays from the front of bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def take(self, count: int, kind: DTypeLike) -> NDArray[Any]:
        """The next `count` numbers. Raises ValueError if there are fewer."""
        array = np.frombuffer(self._content, kind, count, self._place)
        self._place += array.nbytes
        return array

    def split(self, counts: Sequence[int], kind: DTypeLike) -> list[NDArray[Any]]:
        """The next arrays, of so many numbers each."""
        together = self.take(sum(counts), kind)
        return [together[begin:end] for begin, end in pairwise([0, *accumulate(counts)])]
