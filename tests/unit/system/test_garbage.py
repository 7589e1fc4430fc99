"""The garbage collector rests during imports, and only then."""

from __future__ import annotations

import gc

import pytest

from transcription.system.garbage import collection_paused


def test_collection_goes_on_after_the_block_also_when_it_fails() -> None:
    with pytest.raises(ImportError), collection_paused():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
