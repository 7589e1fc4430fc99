"""Phrases that repeat more often than people repeat themselves, and than a voice does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE, Span
from transcription.core.transcript import Segment
from transcription.pipeline.repetition import phrase_seconds, repetitions, surplus_shares, words_of

SENTENCE = " I really like that account of himself."  # 7 words
PERIOD = 3.0  # seconds from one sentence to the next
SAID = 2.0  # seconds that it takes
times_said = st.integers(5, 30)


def segments(times: int, text: str = SENTENCE) -> list[Segment]:
    """The text over and over, a segment each."""
    one = Segment(0.0, PERIOD, text, (1,), -0.2, 6.0, 0.01, 0.0)
    return [replace(one, start=number * PERIOD, end=(number + 1) * PERIOD) for number in range(times)]


def voice(*lengths: float, every: float = PERIOD) -> list[Span]:
    """Stretches of voice, by their lengths in seconds."""
    return [
        Span(round((every * i + 0.1) * SAMPLE_RATE), round(length * SAMPLE_RATE)) for i, length in enumerate(lengths)
    ]


def surplus_words(words: Sequence[str]) -> NDArray[np.bool_]:
    """A mask of the words that repeat a phrase too often."""
    mask = np.zeros(len(words), np.bool_)
    for repetition in repetitions(words):
        mask[repetition.surplus] = True
    return mask


def kept(text: Sequence[Segment], spans: Sequence[Span] | None) -> int:
    return sum(share == 0 for share in surplus_shares(text, spans))


# Repeated by a voice


@given(times_said, st.data())
def test_a_sentence_is_kept_as_often_as_it_is_said(times: int, data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.floats(0.85 * SAID, 1.2 * SAID), min_size=times, max_size=times))
    assert kept(segments(times), voice(*lengths)) == times


@given(times_said)
def test_the_last_time_may_be_cut_short(times: int) -> None:
    assert kept(segments(times), voice(*[SAID] * (times - 1), 0.3 * SAID)) == times


@given(times_said)
def test_the_last_time_may_be_cut_off_before_there_is_a_voice(times: int) -> None:
    *whole, last = segments(times)
    cut_off = replace(last, end=last.start + 0.1)

    assert kept([*whole, cut_off], voice(*[SAID] * (times - 1))) == times
    assert kept([*whole, last], voice(*[SAID] * (times - 1))) == 4


def test_a_sentence_with_pauses_inside_is_kept() -> None:
    halves = [
        span for start in range(8) for span in (Span(start * 48_000, 10_000), Span(start * 48_000 + 14_000, 20_000))
    ]
    assert kept(segments(8), halves) == 8


def test_repeats_in_one_segment_are_kept() -> None:
    [share] = surplus_shares([replace(segments(1)[0], text=SENTENCE * 8, end=8 * PERIOD)], voice(*[SAID] * 8))
    assert share == 0


def test_a_word_that_is_said_twenty_times_with_pauses_is_kept() -> None:
    assert kept(segments(20, " No."), voice(*[0.4] * 20)) == 20


def test_a_repeat_that_the_decoder_omitted_does_not_matter() -> None:
    stretched = [replace(each, start=each.start * 8 / 7, end=each.end * 8 / 7) for each in segments(7)]
    assert kept(stretched, voice(*[SAID] * 8)) == 7


# Repeated by the decoder alone


@given(times_said)
def test_a_loop_over_one_utterance_keeps_its_first_repeats(times: int) -> None:
    one = [Span(0, int(times * PERIOD * SAMPLE_RATE))]
    assert kept(segments(times), one) == kept(segments(times), []) == kept(segments(times), None) == 4


@given(times_said, st.data())
def test_more_repeats_than_the_voice_has_are_surplus(times: int, data: st.DataObject) -> None:
    fewer = data.draw(st.integers(1, times - 1))
    assert kept(segments(times), voice(*[SAID] * fewer)) == 4


@pytest.mark.parametrize(
    "lengths",
    [
        (0.4, 2.9, 1.2, 2.5, 0.7, 2.9, 1.6, 0.3),  # other speech
        (0.15,) * 8,  # too short for seven words
    ],
)
def test_a_loop_over_something_else_keeps_its_first_repeats(lengths: tuple[float, ...]) -> None:
    assert kept(segments(8), voice(*lengths)) == 4


def test_a_short_phrase_is_not_said_in_long_turns() -> None:
    assert kept(segments(8, " Thank you."), voice(*[2.8] * 8, every=PERIOD)) == 5
    assert kept(segments(8, " Thank you."), voice(*[0.7] * 8)) == 8


def test_speech_without_pauses_is_not_a_repetition() -> None:
    assert kept(segments(8), voice(*[PERIOD - 0.1] * 8)) == 4


# Divided at pauses


def test_phrases_are_divided_at_the_longest_pauses() -> None:
    spans = [Span(0, 16_000), Span(20_000, 12_000), Span(48_000, 32_000)]
    assert phrase_seconds(spans, 2) == [2.0, 2.0]
    assert phrase_seconds(spans, 3) == [1.0, 0.75, 2.0]
    assert phrase_seconds(spans, 4) == []
    assert phrase_seconds([], 1) == []


# Counted


@given(st.lists(st.integers().map(str), unique=True, max_size=200))
def test_words_that_never_repeat_are_never_surplus(words: list[str]) -> None:
    assert not surplus_words(words).any()


@given(st.lists(st.sampled_from("abcd"), max_size=60), st.integers(1, 4))
def test_surplus_words_stay_surplus_when_more_follow(words: list[str], more: int) -> None:
    before, after = surplus_words(words), surplus_words([*words, *"abcd"[:more]])
    assert (after[: len(words)] == before).all()


@pytest.mark.parametrize(("repeats", "surplus"), [(8, 0), (9, 1), (20, 12)])
def test_a_word_may_occur_eight_times_in_a_row(repeats: int, surplus: int) -> None:
    assert surplus_words(["no"] * repeats).sum() == surplus


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert words_of(" No, no. NO!") == ["no", "no", "no"]
    assert words_of("हिन्दी") == ["हिन्दी"]
    assert words_of("谢谢 ok") == ["谢", "谢", "ok"]
