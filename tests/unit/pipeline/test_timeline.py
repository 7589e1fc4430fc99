"""Times inside a window become times in the file."""

import pytest

from transcription.core.audio import SAMPLE_RATE, Span, Timeline
from transcription.core.transcript import Segment, Word
from transcription.pipeline.assemble import place


def spans(*seconds: tuple[float, float]) -> Timeline:
    """A timeline of spans, each given as (start in the file, length) in seconds."""
    return Timeline(tuple(Span(int(start * SAMPLE_RATE), int(length * SAMPLE_RATE)) for start, length in seconds))


def segment(start: float, end: float, *words: Word) -> Segment:
    return Segment(start, end, " hi", (1,), -0.1, 1.0, 0.0, 0.0, words=words)


ONE = spans((10.0, 5.0))
TWO = spans((10.0, 5.0), (40.0, 5.0))


def test_a_window_without_cuts_is_shifted():
    assert ONE.file_time(1.25) == 11.25


def test_time_after_a_cut_skips_the_silence():
    assert TWO.file_time(6.0) == 41.0


@pytest.mark.parametrize(("is_end", "expected"), [(True, 15.0), (False, 40.0)])
def test_the_boundary_of_two_spans_ends_the_first_and_starts_the_second(is_end, expected):
    assert TWO.file_time(5.0, is_end=is_end) == expected


def test_a_segment_after_a_cut_is_placed_in_the_second_span():
    placed = place(segment(5.0, 7.5), TWO)
    assert (placed.start, placed.end) == (40.0, 42.5)


def test_a_word_across_a_cut_is_placed_where_its_middle_is():
    placed = place(segment(4.0, 5.2, Word(" hi", 4.0, 5.2, 0.9)), TWO)
    assert (placed.words[0].start, placed.words[0].end) == (14.0, 15.2)


def test_a_segment_with_words_spans_its_words():
    placed = place(segment(0.0, 9.0, Word(" a", 0.5, 1.0, 0.9), Word(" b", 6.0, 6.5, 0.9)), TWO)
    assert (placed.start, placed.end) == (10.5, 41.5)


def test_seek_counts_ten_millisecond_frames_of_the_file():
    assert place(segment(0.0, 1.0), ONE).seek == 1000
