"""Speech is cut at silences and packed into windows; no speech is lost, moved or duplicated."""

import asyncio
import itertools
import threading

import numpy as np
import pytest
from faster_whisper.vad import SpeechTimestampsMap, collect_chunks, get_speech_timestamps
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.effort import examples
from tests.support.media_files import ROOT, SPOKEN, noise, read_samples
from transcription.core.audio import SAMPLE_RATE, WINDOW_SAMPLES, Span, Timeline, Window
from transcription.core.options import VadOptions
from transcription.media import windows
from transcription.media.voice_activity import Activity
from transcription.media.voice_stream import listen_with_silero
from transcription.media.windows import (
    BLOCK_SAMPLES,
    INT16_SCALE,
    WindowPacker,
    amplify,
    centre,
    cut_windows,
    pad,
    quietest_moment,
    split,
)

SEVERAL_SENTENCES = ROOT / "samples" / "en-day.m4a"
NO_VAD = VadOptions(enabled=False)
SECOND = SAMPLE_RATE


async def stream(samples: np.ndarray, size: int = SECOND):
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def cut(
    samples: np.ndarray, vad: VadOptions = VadOptions(), listener=listen_with_silero, *, listen=True
) -> list[Window]:
    async def collect() -> list[Window]:
        return [window async for window in cut_windows(stream(samples), vad, listener, listen=listen)]

    return asyncio.run(collect())


def spans_of(windows: list[Window]) -> list[Span]:
    return [span for window in windows for span in window.timeline.spans]


def louder_than_silence(samples: np.ndarray, vad: VadOptions) -> Activity:
    """A speech detector for signals of zeros and ones, with the interface and minimum silence of the real one."""
    loud = np.flatnonzero(samples)
    return Activity(runs(loud, vad.min_silence_ms * SAMPLE_RATE // 1000), runs(loud, 1))


def runs(loud: np.ndarray, patience: int) -> list[Span]:
    """The spans of sorted indices with less than `patience` samples between two of them."""
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > patience)
    starts = [loud[0], *loud[breaks + 1]]
    ends = [*loud[breaks], loud[-1]]
    return [Span(int(start), int(end - start + 1)) for start, end in zip(starts, ends, strict=True)]


@pytest.mark.parametrize("path", [SPOKEN, SEVERAL_SENTENCES])
@pytest.mark.parametrize("min_silence_ms", [2000, 500])
def test_a_short_recording_is_one_window_with_exactly_the_speech_of_faster_whisper(path, min_silence_ms):
    samples = read_samples(path)
    audio = samples.astype(np.float32) / INT16_SCALE
    chunks = get_speech_timestamps(audio, min_silence_duration_ms=min_silence_ms)
    expected = np.concatenate(collect_chunks(audio, chunks)[0])

    (window,) = cut(samples, VadOptions(min_silence_ms=min_silence_ms))
    assert np.array_equal(window.samples.astype(np.float32) / INT16_SCALE, expected)
    assert spans_of([window]) == [Span(chunk["start"], chunk["end"] - chunk["start"]) for chunk in chunks]


@pytest.mark.parametrize("speech_pad_ms", [0, 30, 400, 3000])
def test_padding_is_the_same_as_faster_whispers(speech_pad_ms):
    samples = read_samples(SEVERAL_SENTENCES)
    vad = VadOptions(min_silence_ms=100, speech_pad_ms=speech_pad_ms)
    chunks = get_speech_timestamps(
        samples.astype(np.float32) / INT16_SCALE, min_silence_duration_ms=100, speech_pad_ms=speech_pad_ms
    )
    padded = pad(listen_with_silero(samples, vad).stretches, len(samples), vad)
    assert len(padded) > 2
    assert padded == [Span(chunk["start"], chunk["end"] - chunk["start"]) for chunk in chunks]


def test_the_speech_of_a_window_has_no_padding():
    silence = np.zeros(10 * SECOND, np.int16)
    (window,) = cut(np.concatenate((silence, np.ones(2 * SECOND, np.int16), silence)), listener=louder_than_silence)
    assert window.speech == window.voice == (Span(10 * SECOND, 2 * SECOND),)
    assert window.timeline.start == pytest.approx(9.6)


def test_a_pause_in_speech_is_not_voice():
    word, pause = np.ones(SECOND, np.int16), np.zeros(SECOND, np.int16)
    (window,) = cut(np.concatenate((word, pause, word)), listener=louder_than_silence)
    assert window.speech == (Span(0, 3 * SECOND),)
    assert window.voice == (Span(0, SECOND), Span(2 * SECOND, SECOND))


def test_windows_have_their_speech_even_without_voice_activity_detection():
    spoken = read_samples(SPOKEN)
    (window,) = cut(np.concatenate((spoken, np.zeros(10 * SECOND, np.int16))), NO_VAD)
    assert window.speech
    assert window.speech[-1].end < len(spoken) + SECOND // 10


@pytest.mark.parametrize("share", [0.1, 0.01, 0.003, 0.002, 0.001])
@pytest.mark.parametrize("vad", [VadOptions(), NO_VAD])
def test_quiet_speech_has_the_windows_of_loud_speech(share, vad):
    """Down to 60 dB less, where a sample has a few steps."""
    loud = read_samples(SEVERAL_SENTENCES)
    quiet = np.rint(loud * share).astype(np.int16)
    (window,), (reference,) = cut(quiet, vad), cut(loud, vad)
    assert window.speech[0].start == pytest.approx(reference.speech[0].start, abs=SECOND // 4)
    assert window.speech[-1].end == pytest.approx(reference.speech[-1].end, abs=SECOND // 4)
    assert len(window.samples) == pytest.approx(len(reference.samples), abs=SECOND // 2)


def test_the_model_hears_quiet_speech_as_it_was_recorded():
    quiet = np.rint(read_samples(SPOKEN) * 0.003).astype(np.int16)
    (window,) = cut(quiet)
    (span,) = window.timeline.spans
    assert np.array_equal(window.samples, quiet[span.start : span.end])


@pytest.mark.parametrize("loudness", [1, 3, 10, 30, 100, 300])
def test_faint_noise_is_not_taken_for_speech(loudness):
    assert cut(noise(20, loudness=loudness)) == []


@pytest.mark.parametrize("offset", [-20_000, 3000, 20_000])
def test_a_constant_offset_is_not_heard(offset):
    quiet = np.rint(read_samples(SPOKEN) * 0.003).astype(np.int16)
    (window,), (reference,) = cut(quiet + np.int16(offset)), cut(quiet)
    assert window.timeline == reference.timeline
    assert np.array_equal(window.samples, reference.samples)


def test_the_offset_is_taken_away_where_the_speech_is_detected(monkeypatch):
    """Not on the event loop, which serves live sessions."""
    threads = []

    def centre_here(samples):
        threads.append(threading.current_thread().name)
        return centre(samples)

    monkeypatch.setattr(windows, "centre", centre_here)
    cut(noise(5))
    assert threads
    assert all(name.startswith("vad") for name in threads)


def test_loud_recordings_are_not_amplified():
    loud = noise(1, loudness=20_000)
    assert amplify(loud) is loud


@pytest.mark.parametrize("vad", [VadOptions(), NO_VAD])
def test_windows_have_no_speech_if_it_is_not_to_be_detected(vad):
    (window,) = cut(read_samples(SPOKEN), vad, listen=False)
    assert window.speech is window.voice is None


def test_a_recording_without_speech_has_no_windows():
    assert cut(noise(5)) == []


def test_an_empty_recording_has_no_windows():
    assert cut(np.empty(0, np.int16)) == []


def test_silence_between_sentences_is_dropped():
    spoken = read_samples(SPOKEN)
    windows = cut(np.concatenate((spoken, np.zeros(20 * SECOND, np.int16), spoken)))
    assert sum(len(window.samples) for window in windows) < 2 * len(spoken) + SECOND


def test_speech_across_a_block_boundary_is_found_once():
    spoken = read_samples(SPOKEN)
    pause = np.zeros(3 * SECOND, np.int16)
    repeats = 2 * BLOCK_SAMPLES // (len(spoken) + len(pause)) + 1
    windows = cut(np.concatenate([spoken, pause] * repeats))
    assert len(spans_of(windows)) == repeats


def test_windows_are_full_if_there_is_enough_speech():
    spoken = read_samples(SPOKEN)
    windows = cut(np.concatenate([spoken, np.zeros(3 * SECOND, np.int16)] * 25))
    assert all(window.duration > 25 for window in windows[:-1])


def test_speech_without_a_pause_is_cut_after_at_most_thirty_seconds():
    windows = cut(np.ones(100 * SECOND, np.int16), listener=louder_than_silence)
    assert all(len(window.samples) <= WINDOW_SAMPLES for window in windows)
    assert sum(len(window.samples) for window in windows) == 100 * SECOND


def test_speech_without_a_pause_is_cut_at_the_quietest_moment():
    samples = np.full(WINDOW_SAMPLES, 1000, np.int16)
    samples[27 * SECOND : 27 * SECOND + SECOND // 5] = 10
    assert 27 * SECOND <= quietest_moment(samples) <= 27 * SECOND + SECOND // 5


def test_without_voice_activity_detection_a_short_recording_is_one_window():
    samples = noise(29.9)
    (window,) = cut(samples, NO_VAD)
    assert np.array_equal(window.samples, samples)


def test_without_voice_activity_detection_nothing_is_dropped():
    samples = noise(300)
    windows = cut(samples, NO_VAD)
    assert np.array_equal(np.concatenate([window.samples for window in windows]), samples)


@hypothesis_settings(deadline=None, max_examples=examples(25, 300))
@given(st.lists(st.tuples(st.integers(1, 4000), st.integers(210, 6000)), min_size=1, max_size=30))
def test_every_sample_of_speech_is_in_one_window_in_order(pattern):
    """pattern: speech and pause lengths in hundredths of a second."""
    step = SAMPLE_RATE // 100
    pieces = [piece for speech, pause in pattern for piece in (np.ones(speech * step), np.zeros(pause * step))]
    samples = np.concatenate(pieces).astype(np.int16)
    windows = cut(samples, VadOptions(speech_pad_ms=0), louder_than_silence)

    assert sum(int(window.samples.sum()) for window in windows) == int(samples.sum())
    spans = spans_of(windows)
    assert all(a.start + a.length <= b.start for a, b in itertools.pairwise(spans))
    for window in windows:
        assert 0 < len(window.samples) <= WINDOW_SAMPLES
        assert window.timeline.length == len(window.samples)
        heard = np.concatenate([samples[span.start : span.start + span.length] for span in window.timeline.spans])
        assert np.array_equal(window.samples, heard)


@hypothesis_settings(deadline=None, max_examples=examples(25, 300))
@given(
    st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 6000)), min_size=1, max_size=20),
    st.booleans(),
    st.integers(0, 3000),
)
def test_every_sample_of_detected_speech_is_in_one_window_in_order(pattern, enabled, speech_pad_ms):
    """pattern: speech and pause lengths in hundredths of a second."""
    step = SAMPLE_RATE // 100
    pieces = [piece for speech, pause in pattern for piece in (np.ones(speech * step), np.zeros(pause * step))]
    samples = np.concatenate(pieces).astype(np.int16)
    windows = cut(samples, VadOptions(enabled=enabled, speech_pad_ms=speech_pad_ms), louder_than_silence)

    speech = [span for window in windows for span in window.speech]
    assert all(before.end <= after.start for before, after in itertools.pairwise(speech))
    assert sum(int(samples[span.start : span.end].sum()) for span in speech) == int(samples.sum())
    for window in windows:
        for span in window.speech:
            assert any(part.start <= span.start and span.end <= part.end for part in window.timeline.spans)


@given(st.integers(1, 5 * WINDOW_SAMPLES))
def test_the_parts_of_a_split_span_cover_it(length):
    samples = np.zeros(length, np.int16)
    parts = list(split(samples, Span(0, length)))
    assert sum(part.length for part in parts) == length
    assert all(0 < part.length <= WINDOW_SAMPLES for part in parts)


@given(st.lists(st.integers(1, WINDOW_SAMPLES), max_size=20))
def test_a_window_is_closed_only_if_the_next_span_does_not_fit(lengths):
    packer = WindowPacker()
    windows = []
    for start, length in enumerate(lengths):
        windows += packer.add(start, np.zeros(length, np.int16))
    windows += packer.flush()
    assert [span.length for span in spans_of(windows)] == lengths
    for window, following in itertools.pairwise(windows):
        assert len(window.samples) + following.timeline.spans[0].length > WINDOW_SAMPLES


spans = st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 20_000)), min_size=1, max_size=8)


@given(spans, st.floats(0, 30, allow_nan=False), st.booleans())
def test_times_are_mapped_to_the_file_as_in_faster_whisper(gaps, time, is_end):
    chunks, cursor = [], 0
    for gap, length in gaps:
        chunks.append({"start": cursor + gap, "end": cursor + gap + length})
        cursor += gap + length
    timeline = Timeline(tuple(Span(chunk["start"], chunk["end"] - chunk["start"]) for chunk in chunks))
    reference = SpeechTimestampsMap(chunks, SAMPLE_RATE).get_original_time(time, is_end=is_end)
    assert timeline.file_time(time, is_end=is_end) == pytest.approx(reference, abs=0.011)
