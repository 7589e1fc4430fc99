"""A window is divided at the pauses in which its language changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.audio import SAMPLE_RATE, Span, Timeline, Window
from transcription.core.transcript import WindowResult
from transcription.pipeline.language_changes import beginning, divided, parts_between_pauses, parts_in_one_language


def spans(*intervals):
    return tuple(Span(round(start * SAMPLE_RATE), round((end - start) * SAMPLE_RATE)) for start, end in intervals)


def a_window(*voice, kept=((0, 15),)):
    """A window with a voice at these times. kept: the stretches of the file that it consists of."""
    timeline = Timeline(spans(*kept))
    samples = np.concatenate([np.arange(span.start, span.end, dtype=np.int64) for span in timeline.spans])
    return Window((samples % 32768).astype(np.int16), timeline, spans(*voice), spans(*voice))


def times(windows):
    return [(window.timeline.start, window.timeline.end) for window in windows]


@pytest.mark.parametrize(
    ("voice", "expected"),
    [
        ([(1, 4), (5, 8)], [(0, 4.5), (4.5, 15)]),  # in the middle of the pause
        ([(1, 4), (4.2, 8)], [(0, 15)]),  # too short a pause
        ([(1, 4), (5, 5.7)], [(0, 15)]),  # too short a voice after it
        ([(1, 4), (5, 5.7), (7.3, 9)], [(0, 6.5), (6.5, 15)]),  # a word stays with what is nearest to it
        ([(1, 4), (5, 5.6), (6.2, 6.8)], [(0, 4.5), (4.5, 15)]),  # two words are long enough together
        ([], [(0, 15)]),
    ],
)
def test_a_window_is_divided_at_pauses_between_long_enough_voices(voice, expected):
    assert times(parts_between_pauses(a_window(*voice))) == expected


def test_a_window_without_voice_detection_is_one_part():
    window = Window(np.zeros(SAMPLE_RATE, np.int16), Timeline(spans((0, 1))))
    assert times(parts_between_pauses(window)) == [(0, 1)]


def test_a_border_in_a_silence_that_was_cut_out_divides_the_stretches_beside_it():
    window = a_window((1, 4), (20, 23), kept=((0.6, 4.4), (19.6, 23.4)))
    first, second = parts_between_pauses(window)
    assert (first.timeline.spans, second.timeline.spans) == (spans((0.6, 4.4)), spans((19.6, 23.4)))


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=6),
    st.lists(st.integers(1, 500), unique=True, max_size=5),
)
def test_the_parts_are_the_window(lengths, cuts):
    position, kept = 0, []
    for gap, length in lengths:
        kept.append(Span(position + gap, length))
        position = kept[-1].end
    samples = np.concatenate([np.arange(span.start, span.end) for span in kept]).astype(np.int16)
    window = Window(samples, Timeline(tuple(kept)), tuple(kept), tuple(kept))
    borders = sorted(cut for cut in cuts if any(span.start < cut < span.end for span in kept))
    parts = divided(window, borders)
    assert np.array_equal(np.concatenate([part.samples for part in parts]), samples)
    for part in parts:
        of_file = [np.arange(span.start, span.end) for span in part.timeline.spans]
        assert np.array_equal(part.samples, np.concatenate(of_file))
        assert part.speech == part.voice == part.timeline.spans


def heard(*languages):
    return [WindowResult(language, probability, ()) for language, probability in languages]


@pytest.mark.parametrize(
    ("languages", "borders"),
    [
        ([("en", 0.9), ("en", 0.9), ("en", 0.9)], []),
        ([("en", 0.9), ("de", 0.9), ("en", 0.9)], [5, 10]),
        ([("en", 0.9), ("en", 0.9), ("de", 0.9)], [10]),
        ([("en", 0.9), ("de", 0.7), ("en", 0.9)], []),  # not likely enough
        ([("de", 0.3), ("en", 0.9), ("en", 0.9)], []),
        ([("en", 0.9), ("cy", 0.3), ("de", 0.9)], [10]),
        ([("en", 0.3), ("de", 0.3), ("fr", 0.3)], []),
    ],
)
def test_a_window_is_divided_where_the_language_changes(languages, borders):
    window = a_window((0, 5), (5, 10), (10, 15))
    parts = divided(window, [5 * SAMPLE_RATE, 10 * SAMPLE_RATE])
    found = parts_in_one_language(window, parts, heard(*languages))
    assert [start for start, _ in times(found)] == [0, *borders]


def test_the_beginning_of_a_part_is_short_enough_for_the_shortest_context():
    part = a_window(kept=((1, 5), (9, 15)))
    start = beginning(part)
    assert start.timeline.spans == spans((1, 5), (9, 11))
    assert np.array_equal(start.samples, part.samples[: 6 * SAMPLE_RATE])


def test_the_beginning_of_a_part_starts_with_its_first_voice():
    part = a_window((13, 15), kept=((0, 15),))
    assert times([beginning(part)]) == [(12.8, 15)]


def test_the_beginning_of_a_short_part_is_all_of_it():
    part = a_window(kept=((1, 5),))
    assert beginning(part) is part
