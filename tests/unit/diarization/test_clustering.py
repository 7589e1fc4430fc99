"""Average linkage on means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.diarization.clustering import Clusters, joined, linkage, reduced

CUT = 0.45


def around(centres: np.ndarray, spread: float, each: int, seed: int = 0) -> Clusters:
    """`each` voices near every centre, one centre after the other."""
    noise = np.random.default_rng(seed).normal(0, spread, (len(centres) * each, centres.shape[1]))
    voices = np.repeat(centres, each, axis=0) + noise
    voices /= np.linalg.norm(voices, axis=1, keepdims=True)
    return Clusters(voices.astype(np.float32), np.ones(len(voices)))


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 1000))
def test_well_separated_voices_are_told_apart(people: int, each: int, seed: int) -> None:
    labels = linkage(around(np.eye(64)[:people], 0.03, each, seed), CUT)
    assert labels.tolist() == np.repeat(np.arange(people), each).tolist()


@given(st.integers(2, 30), st.integers(0, 1000), st.floats(0.05, 1.5))
def test_clusters_are_not_closer_than_the_cut(count: int, seed: int, cut: float) -> None:
    voices = around(np.eye(8), 0.4, count, seed)
    left = voices.merged(linkage(voices, cut)).means
    distances = 1 - left @ left.T
    assert (distances[~np.eye(len(left), dtype=bool)] >= cut - 1e-5).all()


@given(st.integers(1, 25), st.integers(0, 1000))
def test_clusters_are_reduced_to_a_number(count: int, seed: int) -> None:
    voices = around(np.eye(4), 0.3, 5, seed)
    left = reduced(voices, count)
    assert len(left) == min(count, 20)
    assert left.weights.sum() == pytest.approx(20)


def test_a_small_cluster_is_merged_before_two_large_ones_that_are_closer() -> None:
    means = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.5, 0.866]], np.float32)
    left = reduced(Clusters(means, np.array([50.0, 50.0, 4.0])), 2)
    assert left.weights.tolist() == [50.0, 54.0]


def test_the_distance_of_clusters_is_the_average_of_their_members() -> None:
    voices = around(np.eye(16)[:2], 0.2, 5)
    means = voices.merged(np.repeat([0, 1], 5)).means
    pairs = 1 - voices.means[:5] @ voices.means[5:].T
    assert 1 - means[0] @ means[1] == pytest.approx(pairs.mean(), abs=1e-5)


def test_clusters_of_blocks_are_clusters_of_all() -> None:
    voices = around(np.eye(16)[:2], 0.2, 6)
    labels = np.repeat([0, 1], 6)
    halves = [Clusters(voices.means[part], voices.weights[part]) for part in (slice(0, 9), slice(9, 12))]
    merged = joined([halves[0].merged(labels[:9]), halves[1].merged(labels[9:] - 1)]).merged(np.array([0, 1, 1]))
    whole = voices.merged(labels)
    assert merged.means == pytest.approx(whole.means, abs=1e-6)
    assert merged.weights.tolist() == whole.weights.tolist()


def test_longer_pieces_weigh_more() -> None:
    voices = Clusters(np.eye(2, dtype=np.float32), np.array([3.0, 1.0]))
    assert voices.merged(np.zeros(2, np.int64)).means.tolist() == [[0.75, 0.25]]


def test_no_voices_are_no_clusters() -> None:
    assert len(linkage(Clusters(np.empty((0, 4), np.float32), np.empty(0)), CUT)) == 0
