"""Tells the speakers of a session apart while it lasts: whose each utterance is, from it and those before it alone.

Decides only. What has been said is never taken back: a person keeps the number that an utterance gave. Two who turn out
to be one have the number of the first from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from transcription.core.speakers import MAX_SPEAKERS, Turn
from transcription.diarization.centres import TELEPHONE_GAP
from transcription.diarization.clustering import Clusters, joined, linkage
from transcription.diarization.observations import NO_OWNER, VOICE_NUMBERS, Observation
from transcription.diarization.people import SHORT_RELIABLE_SECONDS, people_of_pieces
from transcription.diarization.turns import Owners, turns_of


@dataclass(frozen=True, slots=True)
class Cuts:
    """Average cosine distances. near: closer voices are one person's. likely: so are those this close, if it is enough
    speech to be a new person."""

    near: float
    likely: float


CUTS = Cuts(0.40, 0.44)
TELEPHONE_CUTS = Cuts(0.32, 0.35)  # where there is only the telephone's band: its voices are more alike
NEW_SECONDS = 3.0  # of speech that make a voice unlike all others a person
MOST_UNASSIGNED = 30  # voices that are kept until there is as much of them; older ones are forgotten


class OnlineSpeakers:
    """The people of one session. Keeps a few KB for each of them. most: as many as there may be, 1..MAX_SPEAKERS."""

    def __init__(self, most: int = MAX_SPEAKERS) -> None:
        self._most = most
        self._people = _NONE
        self._ids: list[int] = []  # of each of them, in the order in which they were found
        self._found = 0
        self._unassigned = _NONE
        self._numbers: dict[int, int] = {}  # by id, in the order in which they first speak
        self._gap, self._seconds = 0.0, 0.0  # the sum of all gaps, weighted by speech, and the speech

    def turns(self, utterance: Sequence[Observation]) -> tuple[Turn, ...]:
        """The turns in the next utterance, ordered by start. Speakers have their numbers in the session, from 0.

        utterance: its windows, with frames that count from its start, as the times of the turns do.
        """
        self._learn(utterance)
        voices = self._people.directions
        owners = [self._named(people_of_pieces(window, voices)) for window in utterance]
        found = turns_of(utterance, owners, self._found)
        return tuple(replace(turn, speaker=self._number(turn.speaker)) for turn in found)

    def _number(self, person: int) -> int:
        return self._numbers.setdefault(person, len(self._numbers))

    def _named(self, owner: Owners) -> Owners:
        ids = np.array([*self._ids, NO_OWNER])  # NO_OWNER, -1, is the last one
        return np.asarray(ids[owner], np.int64)

    @property
    def _cuts(self) -> Cuts:
        return TELEPHONE_CUTS if self._gap >= TELEPHONE_GAP * self._seconds > 0 else CUTS

    def _learn(self, utterance: Sequence[Observation]) -> None:
        """Take the voices of an utterance to those of the people, and find new people."""
        spoken = [float(each.seconds.sum()) for each in utterance]
        self._gap += sum(each.band_gap * seconds for each, seconds in zip(utterance, spoken, strict=True))
        self._seconds += sum(spoken)
        cuts = self._cuts
        heard = _reliable(utterance)
        if not len(heard):
            return
        for group in _each(heard.merged(linkage(heard, cuts.near))):
            if not self._join(group, cuts.near):
                self._unassigned = joined((self._unassigned, group))
        self._unassigned = self._unassigned.merged(linkage(self._unassigned, cuts.near))
        self._add_speakers(cuts)
        self._unite(cuts.near)

    def _join(self, group: Clusters, cut: float) -> bool:
        """Add a voice to that of the nearest person, if one is nearer than `cut`."""
        if not len(self._people):
            return False
        distances = 1.0 - self._people.means @ group.means[0]
        nearest = int(distances.argmin())
        if distances[nearest] >= cut:
            return False
        self._people = joined((self._people, group)).merged(np.array([*range(len(self._people)), nearest]))
        return True

    def _add_speakers(self, cuts: Cuts) -> None:
        """Make people of unassigned voices of which enough was heard; of the first one, whatever was heard."""
        voices, self._unassigned = self._unassigned, _NONE
        for group in _each(voices):
            is_first = not len(self._people)
            if not is_first and (group.weights[0] < NEW_SECONDS or len(self._people) >= self._most):
                self._unassigned = joined((self._unassigned, group))
            elif is_first or not self._join(group, cuts.likely):
                self._people = joined((self._people, group))
                self._ids.append(self._found)
                self._found += 1
        count = len(self._unassigned)
        self._unassigned = self._unassigned.of(np.arange(count) >= count - MOST_UNASSIGNED)

    def _unite(self, cut: float) -> None:
        """Make one of people whose voices have come near."""
        labels = linkage(self._people, cut)
        firsts = [int(np.flatnonzero(labels == label)[0]) for label in range(labels.max(initial=-1) + 1)]
        self._people = self._people.merged(labels)
        self._ids = [self._ids[first] for first in firsts]


_NONE = Clusters(np.empty((0, VOICE_NUMBERS), np.float32), np.empty(0, np.float64))


def _reliable(utterance: Sequence[Observation]) -> Clusters:
    """The voices of its pieces that are long enough to tell them; of the longest one, if none is."""
    voices = np.concatenate([each.voices for each in utterance] or [_NONE.means])
    seconds = np.concatenate([each.seconds for each in utterance] or [np.empty(0, np.float32)])
    told = voices.any(axis=1)
    reliable = told & (seconds >= min(SHORT_RELIABLE_SECONDS, seconds[told].max(initial=0.0)))
    return Clusters(voices[reliable], seconds[reliable].astype(np.float64))


def _each(clusters: Clusters) -> list[Clusters]:
    """Each cluster by itself, those with the most speech first."""
    order: NDArray[np.int64] = np.argsort(-clusters.weights, kind="stable")
    return [Clusters(clusters.means[[one]], clusters.weights[[one]]) for one in order.tolist()]
