"""A recording on which the decoder fails twice within an hour is refused for an hour."""

import pytest

from tests.support.clock import Clock
from transcription.core.errors import DecoderFailed, DecoderFailedOnce, ServiceUnavailable
from transcription.media.quarantine import MAX_RECORDINGS, MEMORY_SECONDS, DecoderQuarantine


@pytest.fixture
def clock():
    return Clock(1000.0)


@pytest.fixture
def quarantine(clock):
    return DecoderQuarantine(clock)


def failing(quarantine, sha256="a", error=DecoderFailedOnce):
    """The error of an attempt that ends with this one."""
    with pytest.raises((DecoderFailed, ServiceUnavailable)) as raised, quarantine.watching(sha256):
        raise error("The decoder crashed. Try again.", "SIGSEGV")
    return raised.value


def test_the_first_failure_may_be_chance(quarantine):
    assert isinstance(failing(quarantine), DecoderFailedOnce)


def test_the_second_failure_is_the_recording(quarantine):
    failing(quarantine)
    second = failing(quarantine)
    assert isinstance(second, DecoderFailed)
    assert second.message.startswith("The decoder crashed. That happened 2 times")
    assert second.detail == "SIGSEGV"


def test_a_refused_recording_is_not_decoded(quarantine):
    failing(quarantine)
    failing(quarantine)
    with pytest.raises(DecoderFailed), quarantine.watching("a"):
        pytest.fail("it was decoded")


def test_another_recording_is_not_refused(quarantine):
    failing(quarantine)
    failing(quarantine)
    with quarantine.watching("b"):
        pass


def test_a_decoder_that_was_stopped_does_not_count(quarantine):
    for _ in range(5):
        assert type(failing(quarantine, error=ServiceUnavailable)) is ServiceUnavailable


def test_failures_are_forgotten_after_an_hour(quarantine, clock):
    failing(quarantine)
    clock.now += MEMORY_SECONDS
    assert isinstance(failing(quarantine), DecoderFailedOnce)


def test_the_number_of_remembered_recordings_is_limited(quarantine):
    failing(quarantine)
    for number in range(MAX_RECORDINGS):
        failing(quarantine, str(number))
    assert isinstance(failing(quarantine), DecoderFailedOnce)
