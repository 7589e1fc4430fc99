"""Which runner gets a window."""

from __future__ import annotations

import random
from collections import Counter

from runners.client.interface import ModelState, RunnerState
from runners.pool.choice import SPREAD_SECONDS, Candidate, choose, combined

BASE, LARGE = "base", "large-v3"


def runner(name: str, backlog: float = 0.0, loaded: str = BASE, also: str = "") -> Candidate:
    return Candidate(name, frozenset({loaded}), frozenset({loaded, *also.split()}), backlog)


def chosen(candidates: list[Candidate], model: str = BASE, seed: int = 0) -> str | None:
    choice = choose(candidates, model, random.Random(seed))
    return choice.name if choice else None


def test_of_two_runners_the_one_with_the_shorter_backlog_is_chosen():
    assert (
        chosen(
            [
                runner("a", 3.0),
                runner("b", 1.0),
            ]
        )
        == "b"
    )


def test_the_busiest_of_many_runners_is_never_chosen():
    candidates = [runner(str(number), float(number)) for number in range(5)]

    counts = Counter(chosen(candidates, seed=seed) for seed in range(200))
    assert counts["4"] == 0
    assert all(counts[name] for name in "0123")  # not everyone goes to the same one


def test_only_runners_that_serve_the_model_are_chosen():
    assert chosen([runner("a"), runner("b", 20.0, LARGE)], LARGE) == "b"
    assert chosen([runner("a")], LARGE) is None
    assert chosen([]) is None


def test_a_runner_that_has_the_model_in_memory_is_preferred():
    assert chosen([runner("a", also=LARGE), runner("b", 20.0, LARGE)], LARGE) == "b"


def test_a_model_that_is_loaded_nowhere_is_loaded_by_one_runner_whoever_asks():
    candidates = [runner(str(number), also=LARGE) for number in range(5)]
    shuffled = [*reversed(candidates)]

    assert len({chosen(order, LARGE, seed) for order in (candidates, shuffled) for seed in range(20)}) == 1


def test_another_runner_loads_the_model_when_the_first_has_much_to_do():
    busy = runner("a", SPREAD_SECONDS + 1, LARGE)

    assert chosen([busy, runner("b", also=LARGE)], LARGE) == "b"
    assert chosen([busy, runner("b", SPREAD_SECONDS + 2, also=LARGE)], LARGE) == "a"


def state(model: str, *, ready: bool = True, backlog: float = 0.0, loaded: bool = True, error: str = "") -> RunnerState:
    return RunnerState(ready, "cpu", "int8", (ModelState(model, True, loaded),), error, backlog)


def test_a_pool_is_ready_when_a_runner_of_the_default_model_is():
    assert combined([state(BASE, ready=False, error="no"), state(BASE)], BASE).ready
    assert not combined([state(BASE, ready=False, error="no"), state(LARGE)], BASE).ready
    assert combined([state(BASE, ready=False, error="no")], BASE).error == "no"


def test_the_backlog_of_a_pool_is_that_of_the_runner_with_the_shortest():
    states = [state(BASE, backlog=5.0), state(BASE, backlog=3.0), state(BASE, ready=False), state(LARGE, backlog=1.0)]

    assert combined(states, BASE).backlog_seconds == 3.0


def test_a_model_is_loaded_in_a_pool_when_it_is_somewhere():
    models = combined([state(BASE, loaded=False), state(BASE), state(LARGE, loaded=False)], BASE).models

    assert {model.name: model.loaded for model in models} == {BASE: True, LARGE: False}
