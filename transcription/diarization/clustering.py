"""Which embeddings are of the same person.

A cluster is the mean of its embeddings, weighted by seconds of speech. The mean is not scaled to length 1, so that
1 - a . b of two clusters is the average cosine distance between their embeddings: merging clusters, and clusters of
clusters, is average linkage, in memory that does not grow with the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]  # shape (n, 192)


@dataclass(frozen=True, slots=True)
class Clusters:
    """means: shape (n, 192). weights: seconds of speech in each, shape (n,)."""

    means: Vectors
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def directions(self) -> Vectors:
        """The means at length 1."""
        return of_length_one(self.means)

    def merged(self, labels: NDArray[np.int64]) -> Clusters:
        """The clusters of clusters. labels: for each cluster the new one, shape (n,), every number from 0 on in use."""
        count = int(labels.max(initial=-1)) + 1
        members = np.zeros((count, len(self)))
        members[labels, np.arange(len(self))] = self.weights
        weights = members.sum(axis=1)
        return Clusters(np.asarray(members @ self.means / weights[:, None], np.float32), weights)

    def of(self, chosen: NDArray[np.bool_]) -> Clusters:
        """Those that are chosen, shape (n,)."""
        return Clusters(self.means[chosen], self.weights[chosen])

    def with_one_less(self, first: int, second: int) -> Clusters:
        """The clusters after two of them are merged. first: the lower number."""
        return self.merged(np.insert(np.arange(len(self) - 1), second, first))


def of_length_one(vectors: Vectors) -> Vectors:
    """The vectors, each at length 1; those that are 0 stay so."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


def joined(parts: Sequence[Clusters]) -> Clusters:
    """All clusters of the parts, in their order; there must be at least one part."""
    return Clusters(np.concatenate([each.means for each in parts]), np.concatenate([each.weights for each in parts]))


def linkage(clusters: Clusters, cut: float) -> NDArray[np.int64]:
    """Labels from merging the closest two again and again, as long as they are closer than `cut`; shape (n,).

    cut: average cosine distance, 0..2. Labels count from 0 on, in the order of the clusters.
    """
    count = len(clusters)
    means, weights = clusters.means.astype(np.float64), clusters.weights.copy()
    owner = np.arange(count)
    distances = 1.0 - means @ means.T
    np.fill_diagonal(distances, np.inf)
    for _ in range(count - 1):
        first, second = sorted(divmod(int(distances.argmin()), count))
        if distances[first, second] >= cut:
            break
        weight = weights[first] + weights[second]
        means[first] = (means[first] * weights[first] + means[second] * weights[second]) / weight
        weights[first] = weight
        owner[owner == second] = first
        distances[second], distances[:, second] = np.inf, np.inf
        alive = np.isfinite(distances[first])
        alive[first] = False
        row = np.where(alive, 1.0 - means @ means[first], np.inf)
        distances[first], distances[:, first] = row, row
    return np.unique(owner, return_inverse=True)[1].astype(np.int64)


def reduced(clusters: Clusters, count: int) -> Clusters:
    """At most `count` clusters, at least 1: those whose merger mixes the least speech go first (Ward's criterion).

    Of two mergers at the same distance, that of a small cluster is less likely to be of two people, and does less harm.
    """
    while len(clusters) > count:
        weights = clusters.weights
        mixed = weights[:, None] * weights / (weights[:, None] + weights) * (1.0 - clusters.means @ clusters.means.T)
        np.fill_diagonal(mixed, np.inf)
        first, second = sorted(divmod(int(mixed.argmin()), len(clusters)))
        clusters = clusters.with_one_less(first, second)
    return clusters
