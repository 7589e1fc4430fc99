"""The garbage collector runs rarely during a start, and more often after it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from transcription.system.garbage import collect_as_usual, collect_rarely, collect_while_serving

PYTHON_DEFAULT = (700, 10, 10)


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*PYTHON_DEFAULT)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_a_start_collects_rarely() -> None:
    collect_rarely()
    assert all(starting > usual for starting, usual in zip(gc.get_threshold(), PYTHON_DEFAULT, strict=True))


def test_after_the_start_collection_is_as_usual_and_spares_what_was_imported() -> None:
    collect_rarely()
    collect_as_usual()
    assert gc.get_threshold() == PYTHON_DEFAULT
    assert gc.get_freeze_count() > 0
    assert gc.isenabled()


def test_a_process_that_serves_collects_in_larger_steps() -> None:
    collect_while_serving()
    assert gc.get_threshold()[0] > PYTHON_DEFAULT[0]
    assert gc.get_freeze_count() > 0
    assert gc.isenabled()
