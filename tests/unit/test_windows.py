"""Speech is cut at silences and packed into windows; nothing spoken is lost, moved or heard twice."""

import asyncio
import itertools

import numpy as np
import pytest
from faster_whisper.vad import SpeechTimestampsMap, collect_chunks, get_speech_timestamps
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from media.windows import BLOCK_SAMPLES, INT16_SCALE, WindowPacker, cut_windows, quietest_moment, split
from tests.media_files import ROOT, SPOKEN, noise, read_samples
from transcript import SAMPLE_RATE, WINDOW_SAMPLES, Span, Timeline, VadOptions, Window

SEVERAL_SENTENCES = ROOT / "samples" / "en-day.m4a"
NO_VAD = VadOptions(enabled=False)
SECOND = SAMPLE_RATE


async def stream(samples: np.ndarray, size: int = SECOND):
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def cut(samples: np.ndarray, vad: VadOptions = VadOptions(), find_speech=None) -> list[Window]:
    async def collect() -> list[Window]:
        return [window async for window in cut_windows(stream(samples), vad, find_speech)]

    return asyncio.run(collect())


def spans_of(windows: list[Window]) -> list[Span]:
    return [span for window in windows for span in window.timeline.spans]


def louder_than_silence(samples: np.ndarray, vad: VadOptions) -> list[Span]:
    """A speech detector for signals made of zeros and ones, with the interface and the patience of the real one."""
    loud = np.flatnonzero(samples)
    if not len(loud):
        return []
    patience = vad.min_silence_ms * SAMPLE_RATE // 1000
    breaks = np.flatnonzero(np.diff(loud) > patience)
    starts = [loud[0], *loud[breaks + 1]]
    ends = [*loud[breaks], loud[-1]]
    return [Span(int(start), int(end - start + 1)) for start, end in zip(starts, ends, strict=True)]


@pytest.mark.parametrize("path", [SPOKEN, SEVERAL_SENTENCES])
@pytest.mark.parametrize("min_silence_ms", [2000, 500])
def test_a_short_recording_is_one_window_of_exactly_faster_whispers_speech(path, min_silence_ms):
    samples = read_samples(path)
    audio = samples.astype(np.float32) / INT16_SCALE
    chunks = get_speech_timestamps(audio, min_silence_duration_ms=min_silence_ms)
    expected = np.concatenate(collect_chunks(audio, chunks)[0])

    (window,) = cut(samples, VadOptions(min_silence_ms=min_silence_ms))
    assert np.array_equal(window.samples.astype(np.float32) / INT16_SCALE, expected)
    assert spans_of([window]) == [Span(chunk["start"], chunk["end"] - chunk["start"]) for chunk in chunks]


def test_a_recording_without_speech_gives_no_windows():
    assert cut(noise(5)) == []


def test_no_recording_gives_no_windows():
    assert cut(np.empty(0, np.int16)) == []


def test_silence_between_sentences_is_left_out():
    spoken = read_samples(SPOKEN)
    windows = cut(np.concatenate((spoken, np.zeros(20 * SECOND, np.int16), spoken)))
    assert sum(len(window.samples) for window in windows) < 2 * len(spoken) + SECOND


def test_speech_on_both_sides_of_a_block_border_is_found_once():
    spoken = read_samples(SPOKEN)
    pause = np.zeros(3 * SECOND, np.int16)
    repeats = 2 * BLOCK_SAMPLES // (len(spoken) + len(pause)) + 1
    windows = cut(np.concatenate([spoken, pause] * repeats))
    assert len(spans_of(windows)) == repeats


def test_windows_are_full_when_there_is_much_speech():
    spoken = read_samples(SPOKEN)
    windows = cut(np.concatenate([spoken, np.zeros(3 * SECOND, np.int16)] * 25))
    assert all(window.duration > 25 for window in windows[:-1])


def test_speech_without_a_pause_is_cut_after_at_most_thirty_seconds():
    windows = cut(np.ones(100 * SECOND, np.int16), find_speech=louder_than_silence)
    assert all(len(window.samples) <= WINDOW_SAMPLES for window in windows)
    assert sum(len(window.samples) for window in windows) == 100 * SECOND


def test_it_is_cut_where_it_is_quietest():
    samples = np.full(WINDOW_SAMPLES, 1000, np.int16)
    samples[27 * SECOND : 27 * SECOND + SECOND // 5] = 10
    assert 27 * SECOND <= quietest_moment(samples) <= 27 * SECOND + SECOND // 5


def test_without_voice_activity_detection_a_short_recording_is_one_window():
    samples = noise(29.9)
    (window,) = cut(samples, NO_VAD)
    assert np.array_equal(window.samples, samples)


def test_without_voice_activity_detection_nothing_is_left_out():
    samples = noise(300)
    windows = cut(samples, NO_VAD)
    assert np.array_equal(np.concatenate([window.samples for window in windows]), samples)


@hypothesis_settings(deadline=None, max_examples=60)
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


@given(st.integers(1, 5 * WINDOW_SAMPLES))
def test_a_split_span_is_whole(length):
    samples = np.zeros(length, np.int16)
    parts = list(split(samples, Span(0, length)))
    assert sum(part.length for part in parts) == length
    assert all(0 < part.length <= WINDOW_SAMPLES for part in parts)


@given(st.lists(st.integers(1, WINDOW_SAMPLES), max_size=20))
def test_packing_never_leaves_room_for_the_next_span(lengths):
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
def test_times_return_to_the_file_as_faster_whisper_returns_them(gaps, time, is_end):
    chunks, cursor = [], 0
    for gap, length in gaps:
        chunks.append({"start": cursor + gap, "end": cursor + gap + length})
        cursor += gap + length
    timeline = Timeline(tuple(Span(chunk["start"], chunk["end"] - chunk["start"]) for chunk in chunks))
    reference = SpeechTimestampsMap(chunks, SAMPLE_RATE).get_original_time(time, is_end=is_end)
    assert timeline.file_time(time, is_end=is_end) == pytest.approx(reference, abs=0.011)
