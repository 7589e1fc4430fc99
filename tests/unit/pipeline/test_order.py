"""Times of segments and words never go back, overlap, or leave their window or the audio."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.audio import SAMPLE_RATE, Span, Timeline
from transcription.core.options import DecodeOptions, HallucinationPolicy, TranscriptionRequest, VadOptions
from transcription.core.transcript import PlacedResult, Segment, WindowResult, Word
from transcription.pipeline.assemble import Draft, assemble, judged
from transcription.pipeline.order import without_overlap

DECODE = DecodeOptions("demo", word_timestamps=True)
REQUEST = TranscriptionRequest(DECODE, VadOptions(), hallucinations=HallucinationPolicy.KEEP)
SOME_TIME = st.floats(-1, 40, allow_nan=False)


def segment(start: float, end: float, *words: Word, text: str = " a") -> Segment:
    return Segment(start, end, text, (1,), -0.1, 1.0, 0.0, 0.0, words=words)


def window(start: float, seconds: float, *segments: Segment) -> PlacedResult:
    timeline = Timeline((Span(round(start * SAMPLE_RATE), round(seconds * SAMPLE_RATE)),))
    return PlacedResult(timeline, WindowResult("en", 1.0, segments))


def times(*placed: PlacedResult, duration: float) -> list[tuple[float, float]]:
    return [(each.start, each.end) for each in assemble(placed, REQUEST, duration).segments]


def test_a_segment_ends_with_the_audio():
    assert times(window(0, 0.2, segment(0.0, 2.0)), duration=0.2) == [(0.0, 0.2)]


def test_a_segment_after_the_audio_has_no_duration_and_keeps_its_text():
    transcript = assemble([window(0, 0.2, segment(0.0, 0.2), segment(1.0, 2.0, text=" b"))], REQUEST, 0.2)
    assert [(each.start, each.end) for each in transcript.segments] == [(0.0, 0.2), (0.2, 0.2)]
    assert transcript.text == "a b"


def test_a_segment_ends_before_the_next_window():
    assert times(window(0, 10, segment(8.0, 12.0)), window(10, 5, segment(0.5, 2.0)), duration=15) == [
        (8.0, 10.0),
        (10.5, 12.0),
    ]


def test_a_word_ends_before_the_next_one_starts():
    words = Word(" a", 1.0, 3.0, 0.9), Word(" b", 2.0, 4.0, 0.9)
    transcript = assemble([window(0, 10, segment(1.0, 4.0, *words))], REQUEST, 10)
    assert [(word.start, word.end) for word in transcript.words] == [(1.0, 2.0), (2.0, 4.0)]


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([(0, 2), (2, 3)], [(0, 2), (2, 3)]),
        ([(0, 2), (1, 3)], [(0, 1), (1, 3)]),
        ([(0, 2), (0, 3)], [(0, 2), (2, 3)]),
        ([(0, 2), (0, 1)], [(0, 1), (1, 2)]),
        ([(1, 2), (0, 3)], [(1, 2), (2, 3)]),
        ([(0, 4), (1, 2), (3, 5)], [(0, 1), (1, 2), (3, 5)]),
    ],
)
def test_overlaps_are_divided(intervals, expected):
    assert without_overlap(intervals) == expected


@st.composite
def results(draw):
    """Windows in file order, with segments and words at any times."""
    placed, position = [], 0
    for _ in range(draw(st.integers(1, 4))):
        spans = []
        for _ in range(draw(st.integers(1, 3))):
            position += draw(st.integers(0, 5 * SAMPLE_RATE))
            length = draw(st.integers(1, 10 * SAMPLE_RATE))
            spans.append(Span(position, length))
            position += length
        segments = []
        for _ in range(draw(st.integers(0, 4))):
            words = [
                Word(" a", *sorted(draw(st.tuples(SOME_TIME, SOME_TIME))), 0.9) for _ in range(draw(st.integers(0, 3)))
            ]
            segments.append(segment(*sorted(draw(st.tuples(SOME_TIME, SOME_TIME))), *words))
        voice = tuple(Span(span.start, max(1, span.length // 2)) for span in spans) if draw(st.booleans()) else None
        placed.append(PlacedResult(Timeline(tuple(spans)), WindowResult("en", 1.0, tuple(segments)), voice=voice))
    return placed


def test_a_segment_without_duration_on_the_border_of_two_windows_stays_in_the_first():
    border = 16_079  # samples; voices begin at hundredths of a second, a little earlier here
    time = border / SAMPLE_RATE
    placed = [
        PlacedResult(Timeline((Span(0, border),)), WindowResult("en", 1.0, (segment(0.0, 1.0), segment(2.0, 2.0)))),
        PlacedResult(Timeline((Span(border, 32_000),)), WindowResult("en", 1.0, ()), voice=(Span(border, 3_000),)),
    ]
    assert [(each.start, each.end) for each in judged(placed, REQUEST, 3.0).segments] == [(0.0, 1.0), (time, time)]


@given(results(), st.floats(0, 1))
def test_times_are_in_order_inside_the_audio_and_the_window(placed, share):
    duration = placed[-1].timeline.end - share * placed[-1].timeline.length / SAMPLE_RATE
    transcript = judged(placed, REQUEST, duration)
    bounds = [item.timeline for item in placed for _ in item.result.segments]

    for each, timeline in zip(transcript.segments, bounds, strict=True):
        assert min(timeline.start, duration) <= each.start <= each.end <= min(timeline.end, duration)
        assert not each.words or (each.words[0].start, each.words[-1].end) == (each.start, each.end)
    for units in (transcript.segments, transcript.words):
        assert all(unit.start <= unit.end for unit in units)
        assert all(earlier.end <= later.start for earlier, later in pairwise(units))


@given(results())
def test_a_draft_has_the_times_of_the_transcript(placed):
    draft = Draft(REQUEST)
    drafted = [each for item in placed for each in draft.add(item)]
    assert [(each.start, each.end) for each in drafted] == [
        (each.start, each.end) for each in judged(placed, REQUEST, placed[-1].timeline.end).segments
    ]
