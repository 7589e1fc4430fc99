"""The audio of a session, and the voice in it."""

import numpy as np
import pytest

from transcription.core.audio import Span
from transcription.core.errors import InvalidParameter
from transcription.live.audio import AudioBuffer, as_samples
from transcription.media.voice_activity import CHUNK_SAMPLES


def filled(*probabilities):
    """A chunk for each probability; the samples of chunk n are n."""
    buffer = AudioBuffer()
    chunks = buffer.append(np.repeat(np.arange(len(probabilities), dtype=np.int16), CHUNK_SAMPLES))
    assert len(chunks) == len(probabilities) * CHUNK_SAMPLES
    buffer.add_probabilities(probabilities)
    return buffer


def test_samples_of_any_number_become_whole_chunks():
    buffer = AudioBuffer()
    sizes = []
    for length in (100, 500, 1, 2000):
        chunks = buffer.append(np.zeros(length, np.int16))
        buffer.add_probabilities([0.0] * (len(chunks) // CHUNK_SAMPLES))
        sizes.append(len(chunks))
    assert sizes == [0, CHUNK_SAMPLES, 0, 4 * CHUNK_SAMPLES]
    assert (buffer.end, buffer.heard) == (2601, 5 * CHUNK_SAMPLES)


def test_audio_is_dropped_in_whole_chunks_and_keeps_its_place():
    buffer = filled(0.0, 0.0, 0.0)
    buffer.drop_before(CHUNK_SAMPLES + 100)
    assert buffer.start == CHUNK_SAMPLES
    assert list(buffer.slice(2 * CHUNK_SAMPLES - 1, 2 * CHUNK_SAMPLES + 1)) == [1, 2]


def test_audio_that_no_one_has_listened_to_is_not_dropped():
    buffer = AudioBuffer()
    buffer.append(np.zeros(3 * CHUNK_SAMPLES, np.int16))
    buffer.drop_before(2 * CHUNK_SAMPLES)
    assert buffer.start == 0


def test_a_voice_is_found_in_the_samples_of_the_session():
    buffer = filled(*[0.0] * 4, *[0.9] * 8, *[0.0] * 10)
    buffer.drop_before(2 * CHUNK_SAMPLES)
    activity = buffer.activity(0, buffer.end, 0.5)
    assert list(activity.voice) == [Span(4 * CHUNK_SAMPLES, 8 * CHUNK_SAMPLES)]


def test_a_click_is_no_voice():
    buffer = filled(0.0, 0.9, 0.9, 0.0, 0.0)
    assert not buffer.voiced(0, buffer.end, 0.5)


def test_bytes_are_little_endian_samples():
    assert list(as_samples(b"\x01\x00\xff\xff")) == [1, -1]


def test_half_a_sample_is_refused():
    with pytest.raises(InvalidParameter, match="even number"):
        as_samples(b"\x01\x00\xff")
