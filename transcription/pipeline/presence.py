"""When people speak: how much of an interval, and how far from it. Times are in seconds of the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from transcription.core.speakers import Turn

Stretch = tuple[float, float]  # start and end, seconds
Times = NDArray[np.float64]


class Presence:
    """The stretches in which someone speaks. They may be given in any order and overlap; empty ones do not count."""

    def __init__(self, stretches: Iterable[Stretch]) -> None:
        joined: list[list[float]] = []
        for start, end in sorted(stretch for stretch in stretches if stretch[0] < stretch[1]):
            if joined and start <= joined[-1][1]:
                joined[-1][1] = max(joined[-1][1], end)
            else:
                joined.append([start, end])
        self._edges: Times = np.array(joined, dtype=np.float64).reshape(-1, 2)
        spoken = np.concatenate([[0.0], np.cumsum(self._edges[:, 1] - self._edges[:, 0])])
        self._before: Times = np.repeat(spoken, 2)[1:-1]  # seconds spoken before each edge

    @property
    def stretches(self) -> list[Stretch]:
        """In order, with pauses between them."""
        return [(float(start), float(end)) for start, end in self._edges]

    @property
    def seconds(self) -> float:
        """All of it."""
        return float((self._edges[:, 1] - self._edges[:, 0]).sum())

    def within(self, starts: Times, ends: Times) -> Times:
        """Seconds spoken in each interval. starts, ends: shape (n,), as the result."""
        if not len(self._edges):
            return np.zeros(len(starts))
        edges = self._edges.ravel()
        return np.interp(ends, edges, self._before) - np.interp(starts, edges, self._before)

    def distance(self, starts: Times, ends: Times) -> Times:
        """Seconds from each interval to the nearest stretch, 0 if they meet; infinity if there is none. Shape (n,)."""
        firsts = np.append(self._edges[:, 0], np.inf)  # after the last stretch there is none
        lasts = np.insert(self._edges[:, 1], 0, -np.inf)
        following = np.searchsorted(self._edges[:, 0], starts)
        nearest: Times = np.maximum(0.0, np.minimum(firsts[following] - ends, starts - lasts[following]))
        return nearest


def presences(turns: Iterable[Turn], labels: Mapping[int, str]) -> dict[str, Presence]:
    """When each person speaks, by label, in the order in which they first speak. Numbers may share a label."""
    stretches: dict[str, list[Stretch]] = {}
    for turn in sorted(turns, key=lambda turn: (turn.start, turn.end)):
        if turn.start < turn.end:
            stretches.setdefault(labels[turn.speaker], []).append((turn.start, turn.end))
    return {label: Presence(spoken) for label, spoken in stretches.items()}


def together(people: Iterable[Presence]) -> Presence:
    """When two of these people or more speak at the same time."""
    edges = sorted(edge for one in people for start, end in one.stretches for edge in ((start, 1), (end, -1)))
    speaking, stretches = 0, []
    for (time, change), (following, _) in pairwise(edges):
        speaking += change
        if speaking > 1:
            stretches.append((time, following))
    return Presence(stretches)
