"""Silero's probabilities become faster-whisper's stretches of speech, and the voice inside them."""

from itertools import pairwise

import faster_whisper.vad
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.media_files import SPOKEN, read_samples
from transcription.core.audio import INT16_SCALE, SAMPLE_RATE, Span
from transcription.core.options import VadOptions
from transcription.media.voice_activity import (
    CHUNK_SAMPLES,
    LEAST_VOICE_SAMPLES,
    PAUSE_SAMPLES,
    bridged,
    stretches_of,
    without_clicks,
)
from transcription.media.voice_stream import listen_with_silero

VAD = VadOptions()
SPANS = st.lists(st.tuples(st.integers(1, SAMPLE_RATE), st.integers(1, SAMPLE_RATE)), max_size=12)


def spans(pairs) -> list[Span]:
    """pairs: of pauses and the spans after them, samples."""
    found, position = [], 0
    for pause, length in pairs:
        found.append(Span(position + pause, length))
        position = found[-1].end
    return found


def faster_whispers_stretches(probabilities, length, threshold, min_silence_ms) -> list[Span]:
    options = faster_whisper.vad.VadOptions(
        threshold=threshold, min_silence_duration_ms=min_silence_ms, speech_pad_ms=0
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(faster_whisper.vad, "get_vad_model", lambda: lambda audio: np.array(probabilities))
        found = faster_whisper.vad.get_speech_timestamps(np.zeros(length, np.float32), options)
    return [Span(chunk["start"], chunk["end"] - chunk["start"]) for chunk in found]


@given(
    st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.35, 0.4, 0.5, 1.0])), min_size=1, max_size=60),
    st.sampled_from([0.05, 0.3, 0.5, 0.9]),
    st.sampled_from([0, 32, 100, 500, 2000]),
    st.integers(1, CHUNK_SAMPLES),
)
def test_stretches_are_faster_whispers(probabilities, threshold, min_silence_ms, last):
    length = (len(probabilities) - 1) * CHUNK_SAMPLES + last
    found = stretches_of(probabilities, length, threshold, min_silence_ms * SAMPLE_RATE // 1000)
    assert found == faster_whispers_stretches(probabilities, length, threshold, min_silence_ms)


@pytest.mark.parametrize("min_silence_ms", [0, 300, 2000])
def test_stretches_of_a_recording_are_faster_whispers(min_silence_ms):
    samples = read_samples(SPOKEN)
    expected = faster_whisper.vad.get_speech_timestamps(
        samples.astype(np.float32) / INT16_SCALE, min_silence_duration_ms=min_silence_ms, speech_pad_ms=0
    )
    found = listen_with_silero(samples, VadOptions(min_silence_ms=min_silence_ms)).stretches
    assert [(span.start, span.end) for span in found] == [(each["start"], each["end"]) for each in expected]


def test_a_pause_between_two_words_is_in_the_stretch_and_not_in_the_voice():
    spoken = read_samples(SPOKEN)
    pause = np.zeros(SAMPLE_RATE, np.int16)
    activity = listen_with_silero(np.concatenate((spoken, pause, spoken)), VAD)
    assert len(activity.stretches) == 1
    middle = len(spoken) + len(pause) // 2
    assert not any(span.start <= middle < span.end for span in activity.voice)


def test_nothing_is_said_in_no_samples():
    activity = listen_with_silero(np.empty(0, np.int16), VAD)
    assert not activity.stretches
    assert not activity.voice


@given(SPANS)
def test_short_pauses_are_bridged_and_long_ones_kept(pairs):
    separate = spans(pairs)
    joined = bridged(separate)
    assert bridged(joined) == joined
    assert all(later.start - earlier.end >= PAUSE_SAMPLES for earlier, later in pairwise(joined))
    assert [span for span in separate if not any(j.start <= span.start and span.end <= j.end for j in joined)] == []


def test_a_click_is_no_voice():
    voice, click = Span(0, LEAST_VOICE_SAMPLES), Span(SAMPLE_RATE, LEAST_VOICE_SAMPLES - 1)
    assert without_clicks([voice, click]) == [voice]
