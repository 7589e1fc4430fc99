"""Clients of short clips share the runners evenly: the real choice and the real schedulers, in simulated time."""

from __future__ import annotations

import pytest

from benchmarks.simulated_pool import Load, simulate

SECONDS = 20.0


def test_64_clients_of_4_runners_fill_the_batches_and_wait_alike():
    measured = simulate(Load(runners=4, clients=64, seconds=SECONDS))

    assert measured.fill >= 0.9
    assert measured.p99 <= 2 * measured.median


@pytest.mark.parametrize("runners", [2, 4, 8])
def test_throughput_grows_with_the_runners(runners):
    one = simulate(Load(runners=1, clients=16, seconds=SECONDS))
    many = simulate(Load(runners=runners, clients=16 * runners, seconds=SECONDS))

    assert many.rate >= 0.95 * runners * one.rate
