"""Of the synchronous requests while one of several runners is missing less than one in a hundred is refused."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.resilience.pool_traffic import Outcome


@pytest.mark.parametrize(
    ("answered", "refused", "problem"),
    [
        (40, 0, ""),
        (199, 1, ""),
        (99, 1, "1 of 100 synchronous requests were refused while one runner was missing"),
        (0, 3, "3 of 3 synchronous requests were refused while one runner was missing"),
        (0, 0, "no synchronous request was answered while a runner was missing"),
    ],
)
def test_one_in_a_hundred_is_too_many(answered: int, refused: int, problem: str) -> None:
    outcome = Outcome(without_a_runner=Counter({200: answered, 503: refused}))
    assert outcome.too_many_refusals == problem
