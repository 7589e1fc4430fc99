"""The token rules are those of faster-whisper, and its own code is the judge."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from faster_whisper.transcribe import WhisperModel, get_compression_ratio
from hypothesis import given
from hypothesis import strategies as st

from runners.decode.rules import (
    Attempt,
    Cut,
    average_logprob,
    choose_best,
    is_exhausted,
    likeliest,
    needs_fallback,
    on_a_grid,
    read_frames,
    should_skip,
    split_segments,
)
from transcription.core.options import DecodeOptions

TIMESTAMP_BEGIN = 1000
OPTIONS = DecodeOptions(model="demo")
TEXT_TOKEN = st.integers(0, TIMESTAMP_BEGIN - 1)
TIMESTAMP = st.integers(TIMESTAMP_BEGIN, TIMESTAMP_BEGIN + 1500)
SCORES = st.sampled_from([-2.0, -1.5, -1.0, -0.9, -0.1])
RATIOS = st.sampled_from([0.9, 2.0, 2.4, 2.5, 9.0])
SILENCES = st.sampled_from([0.0, 0.6, 0.61, 0.99])


def an_attempt(
    avg_logprob: float = -0.1, ratio: float = 1.0, no_speech: float = 0.0, temperature: float = 0.0
) -> Attempt:
    return Attempt((1, 2), avg_logprob, ratio, no_speech, temperature)


def reference_split(tokens: list[int], frames: int, seek: int) -> tuple[list[dict[str, object]], int, bool]:
    reference = SimpleNamespace(time_precision=0.02, input_stride=2)
    tokenizer = SimpleNamespace(timestamp_begin=TIMESTAMP_BEGIN)
    return WhisperModel._split_segments_by_timestamps(
        reference, tokenizer, tokens, seek * 0.01, frames, frames * 0.01, seek
    )


@given(st.lists(st.one_of(TEXT_TOKEN, TIMESTAMP), max_size=40), st.integers(1, 3000), st.integers(0, 3000))
def test_tokens_are_cut_exactly_as_faster_whisper_cuts_them(tokens: list[int], frames: int, seek: int) -> None:
    expected, next_seek, single_ending = reference_split(tokens, frames, seek)

    split = split_segments(
        tokens,
        timestamp_begin=TIMESTAMP_BEGIN,
        time_offset=seek * 0.01,
        frames=frames,
        duration=frames * 0.01,
        seek=seek,
    )

    assert [(cut.start, cut.end, list(cut.tokens)) for cut in split.cuts] == [
        (item["start"], item["end"], item["tokens"]) for item in expected
    ]
    assert (split.next_seek, split.single_ending) == (next_seek, single_ending)


def test_a_sentence_cut_off_by_the_window_is_decoded_again_from_its_start() -> None:
    tokens = [1000, 7, 8, 1050, 1050, 9, 9]  # <0.00> a b <1.00> <1.00> c c, and no end

    split = split_segments(tokens, timestamp_begin=TIMESTAMP_BEGIN, time_offset=0.0, frames=3000, duration=30.0, seek=0)

    assert [cut.tokens for cut in split.cuts] == [(1000, 7, 8, 1050)]
    assert split.next_seek == 100


def test_confident_words_do_not_count_in_a_short_rest_without_speech() -> None:
    thanks = an_attempt(avg_logprob=-0.7, no_speech=0.9)

    assert not should_skip(thanks, OPTIONS)
    assert should_skip(thanks, OPTIONS, short_rest=True)
    assert not should_skip(an_attempt(avg_logprob=-0.7, no_speech=0.5), OPTIONS, short_rest=True)


@given(st.lists(st.tuples(SCORES, RATIOS, SILENCES), min_size=1, max_size=6))
def test_the_temperature_fallback_ends_where_faster_whisper_ends(scores: list[tuple[float, float, float]]) -> None:
    temperatures = [round(0.2 * step, 1) for step in range(len(scores))]

    expected = reference_fallback(scores, temperatures)

    tried: list[Attempt] = []
    chosen = None
    for (score, ratio, silence), temperature in zip(scores, temperatures, strict=True):
        tried.append(an_attempt(score, ratio, silence, temperature))
        if not needs_fallback(tried[-1], OPTIONS):
            chosen = tried[-1]
            break
    chosen = chosen or choose_best(tried, OPTIONS)
    assert (chosen.avg_logprob, chosen.temperature, chosen.compression_ratio) == expected


def reference_fallback(
    scores: list[tuple[float, float, float]], temperatures: list[float]
) -> tuple[float, float, float]:
    """`WhisperModel.generate_with_fallback` around a device that returns the given scores, in turn."""
    texts = iter([text_with_ratio(ratio) for _, ratio, _ in scores])
    results = iter(
        SimpleNamespace(sequences_ids=[[1]], scores=[2 * score], no_speech_prob=silence) for score, _, silence in scores
    )
    reference = SimpleNamespace(
        time_precision=0.02,
        max_length=448,
        logger=SimpleNamespace(debug=lambda *_: None),
        model=SimpleNamespace(generate=lambda *_, **__: [next(results)]),
    )
    options = SimpleNamespace(
        **{name: getattr(OPTIONS, name) for name in ("beam_size", "best_of", "log_prob_threshold")},
        no_speech_threshold=OPTIONS.no_speech_threshold,
        compression_ratio_threshold=OPTIONS.compression_ratio_threshold,
        temperatures=temperatures,
        patience=1,
        length_penalty=1,
        repetition_penalty=1,
        no_repeat_ngram_size=0,
        max_initial_timestamp=1.0,
        max_new_tokens=None,
        suppress_blank=True,
        suppress_tokens=[],
    )
    tokenizer = SimpleNamespace(decode=lambda _: next(texts))
    _, avg_logprob, temperature, ratio = WhisperModel.generate_with_fallback(reference, None, [1], tokenizer, options)
    return avg_logprob, temperature, min(RATIO_OF_TEXT, key=lambda known: abs(RATIO_OF_TEXT[known] - ratio))


def text_with_ratio(ratio: float) -> str:
    return TEXT_OF_RATIO[ratio]


def _find_text(ratio: float) -> str:
    """A text on the same side of the threshold as `ratio`, a different length for each ratio."""
    varied = "".join(chr(97 + value) for value in np.random.default_rng(1).integers(0, 26, 40 + int(ratio * 10)))
    return varied if ratio <= OPTIONS.compression_ratio_threshold else "ab " * int(ratio * 20)


TEXT_OF_RATIO = {ratio: _find_text(ratio) for ratio in (0.9, 2.0, 2.4, 2.5, 9.0)}
RATIO_OF_TEXT = {ratio: get_compression_ratio(text.strip()) for ratio, text in TEXT_OF_RATIO.items()}


@pytest.mark.parametrize(
    ("scores", "temperature", "exhausted"),
    [
        ([-1.2, -1.3], 0.4, True),
        ([-1.2, -1.2], 0.6, True),
        ([-1.2, -1.3], 0.2, False),  # 0.4 has not been tried
        ([-1.2, -1.1], 0.4, False),  # likelier
        ([-1.2], 0.4, False),  # nothing before it
    ],
)
def test_no_higher_temperature_is_tried_when_the_latest_text_is_no_likelier(
    scores: list[float], temperature: float, exhausted: bool
) -> None:
    attempts = [an_attempt(score, temperature=temperature) for score in scores]
    assert is_exhausted(attempts, OPTIONS) is exhausted


@pytest.mark.parametrize("ratios", [(9.0, 1.0), (1.0, 9.0)], ids=["loop before", "loop now"])
def test_a_loop_is_no_reason_to_give_up(ratios: tuple[float, float]) -> None:
    attempts = [an_attempt(-0.1 - place, ratio, temperature=0.4) for place, ratio in enumerate(ratios)]
    assert not is_exhausted(attempts, OPTIONS)


@pytest.mark.parametrize(
    ("tokens", "read"),
    [([1000, 7, 1100], 200), ([1000, 7, 1100, 1100, 8], 200), ([1000, 7], 500), ([7, 8], 500), ([1000, 7, 1400], 500)],
    ids=["to its end", "a segment without an end", "one that has none", "no timestamps", "beyond the part"],
)
def test_a_decode_has_read_up_to_its_last_timestamp(tokens: list[int], read: int) -> None:
    assert read_frames(tokens, 500, TIMESTAMP_BEGIN) == read


def test_the_average_counts_the_end_of_text_as_a_token() -> None:
    assert math.isclose(average_logprob(-0.5, 4), -0.4)


def test_an_unlikely_window_that_is_silent_is_not_tried_again() -> None:
    assert needs_fallback(an_attempt(avg_logprob=-1.5, no_speech=0.1), OPTIONS)
    assert not needs_fallback(an_attempt(avg_logprob=-1.5, no_speech=0.9), OPTIONS)


def test_a_window_is_skipped_only_when_its_words_are_unlikely_too() -> None:
    assert should_skip(an_attempt(avg_logprob=-1.5, no_speech=0.9), OPTIONS)
    assert not should_skip(an_attempt(avg_logprob=-0.2, no_speech=0.9), OPTIONS)
    assert not should_skip(an_attempt(avg_logprob=-1.5, no_speech=0.3), OPTIONS)


HEARD = [("en", 0.6), ("de", 0.3), ("fr", 0.1)]


@pytest.mark.parametrize(
    ("languages", "language", "probability"),
    [
        ((), "en", 0.6),
        (("de", "fr"), "de", 0.75),
        (("fr", "en"), "en", 6 / 7),
        (("fr",), "fr", 1.0),
        (("xx", "yy"), "xx", 0.0),
    ],
)
def test_the_language_is_the_likeliest_of_the_allowed_ones(languages, language, probability):
    assert likeliest(HEARD, languages) == (language, pytest.approx(probability))


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ((1.0, 1.0, 1.0), True),
        ((2.0, 2.0, 2.0, 3.66, 2.74), True),
        ((1.0, 1.0), False),  # chance
        ((1.0, 1.0, 1.0, 2.3, 3.1, 4.02, 1.98), False),
        ((1.0, 1.02, 0.98, 1.04), False),
        ((), False),
    ],
)
def test_segments_of_equal_length_are_on_a_grid(lengths: tuple[float, ...], expected: bool) -> None:
    starts = [sum(lengths[:index]) + 0.3 * index for index in range(len(lengths))]
    cuts = [Cut(start, start + length, (1,)) for start, length in zip(starts, lengths, strict=True)]
    assert on_a_grid(cuts) is expected
