"""From windows, the pieces of which have owners, to the turns of the whole file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from transcription.core.speakers import Turn
from transcription.diarization.observations import NO_OWNER, Observation
from transcription.diarization.powerset import activity, frame_time, runs

LONGEST_GAP = 0.6  # seconds of silence inside a turn
SHORTEST_TURN = 0.2  # seconds
STRETCH_FRAMES = 36_000  # about 10 minutes, in which votes are counted at a time
GUESS = 0.001  # weight of a piece whose owner is guessed from those before and after: decides if nothing else does

Owners = NDArray[np.int64]  # whose each piece of a window is, shape (pieces,); NO_OWNER if that is unknown


def turns_of(windows: Sequence[Observation], owners: Sequence[Owners], people: int) -> tuple[Turn, ...]:
    """The turns, ordered by start. Numbers of speakers are those in `owners`, from 0 to people - 1.

    windows: ordered by first_frame. owners: for each window. Where windows overlap, they vote: as many people speak as
    they say on average, and those with the most votes. The middle of a window has more weight than its ends.
    """
    found: list[list[tuple[int, int]]] = [[] for _ in range(people)]
    end = max((window.end_frame for window in windows), default=0)
    for start in range(0, end, STRETCH_FRAMES):
        stop = min(start + STRETCH_FRAMES, end)
        near = [pair for pair in zip(windows, owners, strict=True) if _overlaps(pair[0], start, stop)]
        speaking = _elected(near, start, stop, people)
        for person in range(people):
            found[person].extend((first + start, last + start) for first, last in runs(speaking[:, person]))
    turns = [Turn(*times, person) for person in range(people) for times in _joined(found[person])]
    return tuple(sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker)))


def order_of_appearance(turns: Iterable[Turn]) -> list[int]:
    """The speakers, in the order in which they speak first."""
    return list(dict.fromkeys(turn.speaker for turn in turns))


def _overlaps(window: Observation, start: int, stop: int) -> bool:
    return window.first_frame < stop and window.end_frame > start


def _elected(windows: Iterable[tuple[Observation, Owners]], start: int, stop: int, people: int) -> NDArray[np.bool_]:
    """Who speaks in the frames from start to stop, shape (frames, people)."""
    votes = np.zeros((stop - start, people), np.float32)
    voices, weights = np.zeros(stop - start, np.float32), np.zeros(stop - start, np.float32)
    for window, owner in windows:
        weight = np.hamming(len(window.sets)).astype(np.float32)
        # The part of the window that is in the stretch, in frames of the window and of the stretch.
        part = slice(max(0, start - window.first_frame), min(len(window.sets), stop - window.first_frame))
        place = slice(window.first_frame + part.start - start, window.first_frame + part.stop - start)
        weights[place] += weight[part]
        voices[place] += (weight * activity(window.sets).sum(axis=1))[part]
        votes[place] += _votes(window, owner, people, weight)[part]
    at_a_time = np.rint(voices / np.maximum(weights, np.finfo(np.float32).tiny))
    # A rank for each person, 0 for the one with the most votes; of two with as many, the lower number.
    ranks = np.argsort(np.argsort(-votes, axis=1, kind="stable"), axis=1)
    return np.asarray((ranks < at_a_time[:, None]) & (votes > 0))


def _votes(window: Observation, owner: Owners, people: int, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The window's votes for each person, shape (frames, people)."""
    sure = np.zeros((len(window.sets), people), np.float32)
    for piece, person in enumerate(owner.tolist()):
        if person != NO_OWNER:
            said = sure[window.starts[piece] : window.ends[piece], person]
            np.maximum(said, 1.0 if window.seconds[piece] else GUESS, out=said)
    return sure * weight[:, None]


def _joined(stretches: Iterable[tuple[int, int]]) -> Iterator[tuple[float, float]]:
    """Stretches of frames as times, joined across short gaps; those that stay short are dropped."""
    joined: list[list[float]] = []
    for first, last in stretches:
        start, end = frame_time(first), frame_time(last)
        if joined and start - joined[-1][1] < LONGEST_GAP:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    yield from ((start, end) for start, end in joined if end - start >= SHORTEST_TURN)
