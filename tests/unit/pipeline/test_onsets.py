"""Segments and words start and end where the voice does."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.audio import SAMPLE_RATE, Span, Timeline
from transcription.core.transcript import Segment, Word
from transcription.pipeline.onsets import snap_segments, snap_words, snapped
from transcription.pipeline.order import in_order

PHRASES = [(1.0, 3.0), (5.0, 8.0)]  # two seconds of pause between them
LENGTHS = st.lists(st.tuples(st.integers(20, 300), st.integers(10, 300)), min_size=1, max_size=6)
TIMES = st.lists(st.integers(0, 3000), min_size=2, max_size=12, unique=True)


def spans(intervals: list[tuple[float, float]]) -> list[Span]:
    return [Span(round(start * SAMPLE_RATE), round((end - start) * SAMPLE_RATE)) for start, end in intervals]


def segment(start: float, end: float, *words: Word) -> Segment:
    return Segment(start, end, " a", (1,), -0.1, 1.0, 0.0, 0.0, words=words)


def spoken(*times: tuple[float, float]) -> Segment:
    """A segment of words with these times."""
    words = tuple(Word(" a", start, end, 0.9) for start, end in times)
    return segment(times[0][0], times[-1][1], *words)


@pytest.mark.parametrize(
    ("decoded", "expected"),
    [
        ((0.0, 4.9), (1.0, 3.0)),  # from pause to pause
        ((3.2, 8.5), (5.0, 8.0)),
        ((0.7, 7.9), (1.0, 8.0)),  # over a pause
        ((1.25, 2.75), (1.0, 3.0)),  # a little late and a little early
        ((2.7, 8.0), (5.0, 8.0)),  # from just before the pause
        ((1.0, 5.3), (1.0, 3.0)),  # to just after it
        ((1.0, 6.5), (1.0, 6.5)),  # to the middle of a phrase
        ((3.4, 4.2), (3.4, 4.2)),  # no voice
        ((8.5, 9.0), (8.5, 9.0)),
    ],
)
def test_a_segment_starts_and_ends_with_the_voice(decoded, expected):
    assert snap_segments([decoded], PHRASES) == [expected]


def test_two_segments_that_meet_in_a_pause_are_divided_by_it():
    assert snap_segments([(0.0, 4.0), (4.0, 9.0)], PHRASES) == PHRASES


@pytest.mark.parametrize("pause", [0.85, 2.0])
def test_two_segments_that_meet_soon_after_a_long_pause_are_divided_by_it(pause):
    voices = [(1.0, 3.0), (3.0 + pause, 8.0)]
    assert snap_segments([(1.0, 3.45 + pause), (3.45 + pause, 8.0)], voices) == voices


def test_two_segments_that_meet_soon_after_a_short_pause_stay():
    segments = [(1.0, 4.0), (4.0, 8.0)]
    assert snap_segments(segments, [(1.0, 3.0), (3.55, 8.0)]) == segments


def test_the_second_segment_of_a_phrase_stays_where_it_is():
    assert snap_segments([(5.0, 5.4), (5.4, 8.0)], PHRASES) == [(5.0, 5.4), (5.4, 8.0)]


def test_a_pause_does_not_attract_a_boundary_inside_a_phrase():
    voices = [(0.0, 5.5), (5.75, 8.0)]
    assert snap_segments([(0.0, 6.3), (6.3, 8.0)], voices) == [(0.0, 6.3), (6.3, 8.0)]


@pytest.mark.parametrize(
    ("decoded", "expected"),
    [
        ((3.1, 6.9), (5.0, 6.9)),  # the pause before it was counted as part of it
        ((2.9, 5.4), (5.0, 5.4)),  # with the end of the phrase before
        ((3.8, 4.95), (5.0, 5.1)),  # the end is early, so that nothing of the word is left
        ((5.2, 5.6), (5.0, 5.6)),  # a little late
        ((2.5, 4.4), (2.5, 3.0)),  # the last word of a phrase
        ((2.4, 2.8), (2.4, 3.0)),
        ((6.0, 6.5), (6.0, 6.5)),  # inside a phrase
        ((3.1, 3.6), (3.1, 3.6)),  # no voice
        ((3.5, 4.0), (3.5, 4.0)),
    ],
)
def test_a_word_is_in_the_voice_it_belongs_to(decoded, expected):
    others = [(1.0, 1.5), (7.5, 8.0)]
    words = sorted([*others, decoded])
    assert snap_words(words, PHRASES)[words.index(decoded)] == pytest.approx(expected)


def test_words_inside_a_phrase_keep_their_borders():
    words = [(4.0, 5.5), (5.5, 5.7), (5.7, 7.9)]
    assert snap_words(words, PHRASES) == [(5.0, 5.5), (5.5, 5.7), (5.7, 8.0)]


def test_a_segment_has_the_times_of_its_words():
    (moved,) = snapped([spoken((0.0, 1.5), (2.0, 4.0))], spans(PHRASES))
    assert [(word.start, word.end) for word in moved.words] == [(1.0, 1.5), (2.0, 3.0)]
    assert (moved.start, moved.end) == (1.0, 3.0)


VOICES = [(1.0, 1.5), (3.0, 3.5), (5.0, 5.5)]


def test_as_many_single_words_as_voices_are_one_each():
    words = [spoken((0.0, 1.5)), spoken((1.5, 2.6)), spoken((2.6, 3.4))]
    assert [(each.start, each.end) for each in snapped(words, spans(VOICES))] == VOICES


@pytest.mark.parametrize(
    "words",
    [
        [spoken((0.0, 1.5)), spoken((1.5, 2.6), (2.6, 3.4))],  # two words in a segment: not said one by one
        [spoken((0.0, 1.5)), spoken((1.5, 2.6))],  # fewer than voices
    ],
    ids=len,
)
def test_other_words_are_in_the_voice_that_they_are_nearest_to(words):
    assert snapped(words, spans(VOICES))[0].start == 1.0
    assert snapped(words, spans(VOICES))[-1].end < 5.0


def test_single_words_that_are_all_in_a_voice_stay_in_it_though_there_are_as_many_voices():
    """A cough may be a voice, and two words may be said in one."""
    words = [spoken((3.0, 3.5)), spoken((5.0, 5.2)), spoken((5.2, 5.5))]
    starts = [each.start for each in snapped(words, spans(VOICES))]
    assert starts == [3.0, 5.0, 5.2]


def test_segments_with_and_without_words_are_moved_in_the_same_window():
    moved = snapped([spoken((0.0, 1.5), (2.0, 4.0)), segment(3.2, 8.5)], spans(PHRASES))
    assert [(each.start, each.end) for each in moved] == PHRASES


@pytest.mark.parametrize("voice", [None, []])
def test_without_a_detected_voice_times_stay(voice):
    segments = [segment(0.0, 4.0), segment(4.0, 9.0)]
    assert snapped(segments, voice) == segments


@st.composite
def windows(draw):
    """The segments of one window, with or without words, in order; its voice; and its timeline."""
    position, voices = 0.0, []
    for pause, length in draw(LENGTHS):
        voices.append((round(position + pause / 100, 2), round(position + (pause + length) / 100, 2)))
        position = voices[-1][1]
    edges = [time / 100 for time in sorted(draw(TIMES))]
    units = [each for each in pairwise(edges) if draw(st.booleans())]
    if draw(st.booleans()):
        size = draw(st.integers(1, 4))
        segments = [spoken(*units[first : first + size]) for first in range(0, len(units), size)]
    else:
        segments = [segment(*each) for each in units]
    return segments, spans(voices), Timeline((Span(0, 30 * SAMPLE_RATE),))


def moved(segments, voice, timeline):
    return in_order([(timeline, snapped(segments, voice))], timeline.end)


def times_of(segments):
    return [(each.start, each.end) for one in segments for each in one.words or (one,)]


@given(windows())
def test_only_times_change(window):
    segments, voice, timeline = window
    after = moved(segments, voice, timeline)

    def without_times(item):
        words = tuple(replace(word, start=0.0, end=0.0) for word in item.words)
        return replace(item, start=0.0, end=0.0, words=words)

    assert [without_times(each) for each in after] == [without_times(each) for each in segments]


@given(windows())
def test_times_stay_in_order_and_segments_have_those_of_their_words(window):
    after = moved(*window)
    assert all(0 <= start <= end <= 30 for start, end in times_of(after))
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(times_of(after)))
    assert all((each.start, each.end) == (each.words[0].start, each.words[-1].end) for each in after if each.words)


@given(windows())
def test_moving_times_again_changes_nothing(window):
    segments, voice, timeline = window
    once = moved(segments, voice, timeline)
    assert times_of(moved(once, voice, timeline)) == times_of(once)


@given(windows())
def test_segments_without_a_voice_keep_their_times(window):
    segments, voice, _ = window
    for before, after in zip(segments, snapped(segments, voice), strict=True):
        start, end = before.start * SAMPLE_RATE, before.end * SAMPLE_RATE
        if not before.words and not any(span.start < end and start < span.end for span in voice):
            assert after == before
