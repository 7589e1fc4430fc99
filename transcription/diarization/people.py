"""How many people speak, what their voices are, and which piece is whose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transcription.core.speakers import SpeakerOptions
from transcription.diarization.clustering import Clusters, joined, linkage, of_length_one, reduced
from transcription.diarization.encounters import encounters
from transcription.diarization.observations import NO_OWNER, VOICE_NUMBERS, Observation
from transcription.diarization.partitions import best_partition
from transcription.diarization.powerset import LOCAL_SPEAKERS

# Tuned on conversations that benchmarks.diarization builds; docs/SPEAKERS.md has the figures.


# Average cosine distances between clusters of centred voices. Closer ones than NEAR are merged. Between that and LIKELY
# they are one person, unless they take turns much; from there to FAR they are two, unless they never take turns. From
# FAR on they are two.
NEAR, LIKELY, FAR = 0.55, 0.65, 0.78
MANY_TURNS = 6  # encounters, and more than twice those in which they seem one person, that make two of likely one
EXPECTED_TURNS = 1.0  # encounters that two people would have had
RELIABLE_SECONDS = 1.5  # of a piece that takes part in clustering; the voices of shorter ones vary too much
SMALLEST_SECONDS = 4.0  # of reliable pieces of a person
SMALLEST_TOLD_SECONDS = 2.0  # the same, where more people are said to speak than have that much
SMALLEST_SHARE = 0.1  # of all reliable pieces, that is enough in short recordings
SHORT_SECONDS = 30.0  # of reliable pieces: with less, those of SHORT_RELIABLE_SECONDS take part in clustering, too
SHORT_RELIABLE_SECONDS = 1.0
RELIABLE_SHARE = 0.5  # of all speech: if less is in reliable pieces, as where turns are short, too
CHANGE_COST = 0.1  # seconds of similarity that a change of person within a local speaker has to gain
DECISIVE_SECONDS = 2.5  # of a piece; longer ones are no more certain

START_CUTS = (0.4, 0.5, 0.6)  # average cosine distances at which partitions of the pieces begin
START_SECONDS = 2.0  # of reliable pieces of a voice that a partition begins with
MORE_VOICES = 10  # than people, that a partition begins with at most

BLOCK = 500  # voices that are clustered at a time, about 20 minutes; distances take BLOCK ** 2
_CUT_STEP = 0.05  # by which the cut is lowered when fewer people are found than there are


def people_in(observations: Sequence[Observation], options: SpeakerOptions) -> NDArray[np.float32]:
    """The voices of the people, each of length 1, shape (people, 192); none without speech.

    observations: of `centres.centred`, and so are the voices.
    """
    voices = np.concatenate([each.voices for each in observations] or [np.empty((0, VOICE_NUMBERS), np.float32)])
    seconds = np.concatenate([each.seconds for each in observations] or [np.empty(0, np.float32)])
    clear = float(seconds[seconds >= RELIABLE_SECONDS].sum())
    is_short = clear < max(SHORT_SECONDS, RELIABLE_SHARE * float(seconds.sum()))
    least = SHORT_RELIABLE_SECONDS if is_short else RELIABLE_SECONDS
    reliable = seconds >= min(least, seconds.max(initial=0.0))
    heard = np.asarray(voices.any(axis=1), np.bool_)
    told = reliable & heard
    if not told.any():
        return np.empty((0, VOICE_NUMBERS), np.float32)
    pieces = Clusters(voices, seconds.astype(np.float64))
    clearest = pieces.of(told)
    found = _clustered(clearest.means, clearest.weights, options.least)
    while len(found) > options.least and (pair := _one_twice(observations, found)):
        found = found.with_one_less(*pair)
    found = reduced(found, options.most)
    starts = [_start(clearest, cut, len(found)) for cut in START_CUTS]
    said = pieces.of(heard)
    smallest = min(SMALLEST_SECONDS, SMALLEST_SHARE * float(said.weights.sum()))
    people = best_partition(said, (found.directions, *starts), len(found), smallest)
    return found.directions if people is None else people


def people_of_pieces(window: Observation, people: NDArray[np.float32]) -> NDArray[np.int64]:
    """Whose each piece of a window is, shape (pieces,); NO_OWNER if no piece of its local speaker has a voice.

    people: of `people_in`. A piece without a voice is given to the person that its local speaker is before or after.
    """
    result = np.full(len(window.locals), NO_OWNER)
    for local in range(LOCAL_SPEAKERS):
        own = np.flatnonzero(window.locals == local)
        if len(people) and window.voices[own].any():
            evidence = np.minimum(window.seconds[own], DECISIVE_SECONDS)[:, None] * (window.voices[own] @ people.T)
            result[own] = best_path(evidence, CHANGE_COST)
    return result


def voices_of(
    observations: Sequence[Observation], owners: Sequence[NDArray[np.int64]], people: int
) -> NDArray[np.float32]:
    """The voice in the pieces of each person, of length 1, shape (people, 192).

    owners: whose each piece is, for each window.
    """
    sums = np.zeros((people, VOICE_NUMBERS), np.float32)
    for window, owner in zip(observations, owners, strict=True):
        known = owner != NO_OWNER
        np.add.at(sums, owner[known], window.seconds[known, None] * window.voices[known])
    return of_length_one(sums)


def best_path(evidence: NDArray[np.float32], cost: float) -> list[int]:
    """The column of each row for which the sum of the evidence, less `cost` for each change, is largest (Viterbi)."""
    total, came_from = evidence[0], []
    for row in evidence[1:]:
        best = int(total.argmax())
        stays = total >= total[best] - cost
        came_from.append(np.where(stays, np.arange(len(total)), best))
        total = np.where(stays, total, total[best] - cost) + row
    path = [int(total.argmax())]
    for columns in reversed(came_from):
        path.append(int(columns[path[-1]]))
    return path[::-1]


def _clustered(voices: NDArray[np.float32], seconds: NDArray[np.float64], least: int) -> Clusters:
    """At least so many, if voices allow. Small ones are gone: they would be kept as people, and real ones merged."""
    large, cut = _large(voices, seconds, NEAR, SMALLEST_SECONDS), NEAR
    while len(large) < least and cut > _CUT_STEP:
        # A lower cut alone makes more of them too small than it finds.
        large = max(large, _large(voices, seconds, cut, SMALLEST_TOLD_SECONDS), key=len)
        cut -= _CUT_STEP
    return large


def _start(pieces: Clusters, cut: float, people: int) -> NDArray[np.float32]:
    """Voices to begin a partition with: the largest clusters of the pieces at this cut."""
    clusters = _linked_in_blocks(pieces.means, pieces.weights, cut)
    enough = clusters.of(clusters.weights >= min(START_SECONDS, clusters.weights.max()))
    largest = np.argsort(-enough.weights, kind="stable")[: people + MORE_VOICES]
    return enough.directions[largest]


def _large(voices: NDArray[np.float32], seconds: NDArray[np.float64], cut: float, smallest: float) -> Clusters:
    """The clusters with enough speech; the largest if none has. smallest: seconds, less in short recordings."""
    clusters = _linked_in_blocks(voices, seconds, cut)
    least = min(smallest, SMALLEST_SHARE * clusters.weights.sum())
    enough = clusters.weights >= least
    if not enough.all():
        # What is left of people whose voices vary. Where more people than those are looked for, they stay apart.
        small_cut = LIKELY if cut == NEAR else cut
        clusters = joined((clusters.of(enough), _linked(clusters.of(~enough), small_cut)))
    return clusters.of(clusters.weights >= min(least, clusters.weights.max()))


def _linked_in_blocks(voices: NDArray[np.float32], seconds: NDArray[np.float64], cut: float) -> Clusters:
    found = [
        _linked(Clusters(voices[first : first + BLOCK], seconds[first : first + BLOCK]), cut)
        for first in range(0, len(voices), BLOCK)
    ]
    return found[0] if len(found) == 1 else _linked(joined(found), cut)


def _linked(clusters: Clusters, cut: float) -> Clusters:
    return clusters.merged(linkage(clusters, cut))


def _one_twice(observations: Sequence[Observation], found: Clusters) -> tuple[int, int] | None:
    """The closest two clusters that are one person, whose voice varies; the lower number first."""
    people = found.directions
    owners = [people_of_pieces(window, people) for window in observations]
    seen = encounters(observations, owners, len(people))
    strangers = (seen.together == 0) & (seen.expected < EXPECTED_TURNS)
    distances = 1.0 - found.means @ found.means.T
    two = np.where(
        distances < LIKELY,
        (seen.apart >= MANY_TURNS) & (seen.apart > 2 * seen.together),
        (seen.apart > 0) | strangers | (distances >= FAR),
    )
    np.fill_diagonal(two, True)
    if two.all():
        return None
    first, second = sorted(divmod(int(np.where(two, np.inf, distances).argmin()), len(found)))
    return first, second
