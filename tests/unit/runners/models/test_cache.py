"""Models in memory."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from runners.models.cache import ModelCache
from transcription.core.errors import ModelUnavailable


def a_cache(capacity: int, loads: list[str]) -> ModelCache[str]:
    def load(name: str, folder: Path) -> str:
        loads.append(name)
        return f"model {name}"

    return ModelCache(capacity, locate=Path, load=load)


def use(cache: ModelCache[str], *names: str) -> None:
    for name in names:
        with cache.lease(name):
            pass


def test_a_model_is_loaded_once() -> None:
    loads: list[str] = []
    cache = a_cache(2, loads)

    use(cache, "a", "a", "a")

    assert loads == ["a"]
    assert cache.loaded() == {"a"}


def test_the_least_recently_used_model_makes_room() -> None:
    cache = a_cache(2, [])

    use(cache, "a", "b", "a", "c")

    assert cache.loaded() == {"a", "c"}


def test_a_model_in_use_is_kept_until_it_is_done() -> None:
    cache = a_cache(1, [])

    with cache.lease("a"):
        use(cache, "b")
        assert "a" in cache.loaded()
    use(cache, "c")

    assert cache.loaded() == {"c"}


def test_more_models_in_use_than_fit_are_dropped_as_they_are_returned() -> None:
    cache = a_cache(1, [])

    with ExitStack() as leases:
        for name in "abc":
            leases.enter_context(cache.lease(name))
        assert cache.loaded() == {"a", "b", "c"}

    assert len(cache.loaded()) == 1


def test_a_failed_load_is_tried_again_by_the_next_caller() -> None:
    answers = iter([ModelUnavailable("broken"), "model"])

    def load(name: str, folder: Path) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cache: ModelCache[str] = ModelCache(1, locate=Path, load=load)
    with pytest.raises(ModelUnavailable), cache.lease("a"):
        pass
    assert cache.loaded() == frozenset()

    with cache.lease("a") as model:
        assert model == "model"


def test_threads_that_want_one_model_load_it_once_and_others_are_not_held_up() -> None:
    loads: list[str] = []
    may_finish = threading.Event()

    def load(name: str, folder: Path) -> str:
        loads.append(name)
        if name == "slow":
            may_finish.wait(10)
        return name

    cache: ModelCache[str] = ModelCache(3, locate=Path, load=load)
    threads = [threading.Thread(target=use, args=(cache, "slow")) for _ in range(4)]
    for thread in threads:
        thread.start()
    use(cache, "quick")
    assert "quick" in cache.loaded()
    may_finish.set()
    for thread in threads:
        thread.join(10)

    assert sorted(loads) == ["quick", "slow"]
