"""A window is divided at its pauses where a decode has too little text, or the same again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from runners.decode.engine import Engine, WindowTask
from runners.decode.pauses import LEAST_SPEECH_FRAMES, PAUSE_FRAMES, is_sparse, may_be_sparse, pauses
from runners.decode.rules import Attempt
from runners.decode.search import Search
from transcription.core.audio import FRAMES_PER_SECOND, SAMPLE_RATE
from transcription.core.options import DecodeOptions, EncoderContext

SPEECH, SILENCE = 0.3, -0.7  # mean features of a frame
OPTIONS = DecodeOptions(model="demo", temperatures=(0.0,))
TIMES = 4


def loudness(*seconds: float) -> NDArray[np.float32]:
    """Speech, a pause, speech and so on, of so many seconds each."""
    levels = (SILENCE if number % 2 else SPEECH for number in range(len(seconds)))
    parts = [np.full(round(each * FRAMES_PER_SECOND), level) for each, level in zip(seconds, levels, strict=True)]
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((2, 1, 2), [250]),
        ((2, 0.3, 2, 0.4, 2), [215, 450]),
        ((2, 0.3, 2, 1, 2), [480]),  # within a sentence, and between two
        ((2, 0.2, 2), []),
        ((5,), []),
        ((0.5, 1, 2), []),  # a word at the start
        ((2, 1, 0.5), []),  # a word at the end
        ((2, 1, 0.5, 1, 2), [250]),  # a word on its own belongs to what follows
    ],
    ids=["one", "two", "a longer one", "too short", "none", "after a word", "before a word", "around a word"],
)
def test_a_pause_is_between_two_stretches_of_a_second(seconds: tuple[float, ...], expected: list[int]) -> None:
    assert pauses(loudness(*seconds)) == expected


@given(st.lists(st.floats(0.05, 4), min_size=1, max_size=15))
def test_every_part_between_pauses_is_long_enough(seconds: list[float]) -> None:
    sound = loudness(*seconds)
    borders = [0, *pauses(sound), len(sound)]
    assert borders == sorted(borders)
    if len(borders) > 2:
        assert min(np.diff(borders)) >= LEAST_SPEECH_FRAMES + PAUSE_FRAMES // 2


@pytest.mark.parametrize(
    ("tokens", "sparse"), [(0, False), (7, True), (15, True), (16, False)], ids=["none", "half", "less", "enough"]
)
def test_pauses_do_not_count_as_speech_without_text(tokens: int, sparse: bool) -> None:
    sound = loudness(2, 1.5, 2)
    assert is_sparse(tokens, sound) is sparse
    assert may_be_sparse(tokens, len(sound)) or not sparse


def repeated(recordings: dict[str, NDArray[np.int16]]) -> NDArray[np.int16]:
    """One sentence, several times, with pauses of half a second."""
    once = np.concatenate([recordings["en-meeting.mp3"], np.zeros(SAMPLE_RATE // 2, np.int16)])
    return np.tile(once, TIMES)


def count_of(engine: Engine, samples: NDArray[np.int16], options: DecodeOptions) -> int:
    [result] = engine.decode([WindowTask(samples, options)])
    return sum(segment.text.count("meeting") for segment in result.segments)


@pytest.fixture(params=["said once", "a loop"])
def merged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The decode of a whole window has one sentence of several, or looks like a loop. Returns the lengths decoded."""
    once, frames = Search.once, []

    def decode(self, encoded, wanted, limit):  # type: ignore[no-untyped-def]
        frames.extend(each.frames for each in wanted)
        attempts = once(self, encoded, wanted, limit)
        if max(frames) != wanted[0].frames:
            return attempts
        if request.param == "a loop":
            return [replace(each, compression_ratio=9.0) for each in attempts]
        return [sentence(each, self._tokenizers.timestamp_begin) for each in attempts]

    monkeypatch.setattr(Search, "once", decode)
    return frames


def sentence(attempt: Attempt, begin: int) -> Attempt:
    """The first sentence of an attempt, said to last as long as all of it."""
    text = [token for token in attempt.tokens if token < begin][:7]
    return replace(attempt, tokens=(begin, *text, attempt.tokens[-1]))


def test_a_repeated_sentence_is_decoded_between_its_pauses(
    demo_engine: Engine, recordings: dict[str, NDArray[np.int16]], merged: list[int]
) -> None:
    assert count_of(demo_engine, repeated(recordings), OPTIONS) == TIMES
    assert len(merged) >= 1 + TIMES


def test_parts_that_claim_to_end_in_the_next_one_take_nothing_from_it(
    demo_engine: Engine,
    recordings: dict[str, NDArray[np.int16]],
    merged: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once = Search.once

    def late(self: Search, encoded: Any, wanted: Any, limit: int) -> list[Attempt]:
        attempts, begin = once(self, encoded, wanted, limit), self._tokenizers.timestamp_begin
        if wanted[0].frames == max(merged):
            return attempts
        text = [tuple(token for token in each.tokens if token < begin) for each in attempts]
        return [
            replace(each, tokens=(begin, *words, begin + 600, begin + 600))
            for each, words in zip(attempts, text, strict=True)
        ]

    monkeypatch.setattr(Search, "once", late)
    assert count_of(demo_engine, repeated(recordings), OPTIONS) == TIMES


def test_the_prompt_of_a_divided_window_is_for_its_first_decode(
    demo_engine: Engine,
    recordings: dict[str, NDArray[np.int16]],
    merged: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once, prompts = Search.once, []

    def noted(self: Search, encoded: Any, wanted: Any, limit: int) -> list[Attempt]:
        prompts.append(len(wanted[0].prompt))
        return once(self, encoded, wanted, limit)

    monkeypatch.setattr(Search, "once", noted)
    count_of(demo_engine, repeated(recordings), replace(OPTIONS, initial_prompt="the meeting"))
    assert prompts[0] > prompts[-1] == min(prompts)
    assert set(prompts[-TIMES:]) == {min(prompts)}


def test_slow_speech_is_looked_at_and_not_divided(
    demo_engine: Engine, recordings: dict[str, NDArray[np.int16]], monkeypatch: pytest.MonkeyPatch
) -> None:
    once, decodes = Search.once, []

    def counted(self: Search, *arguments: Any) -> list[Attempt]:
        attempts = once(self, *arguments)
        decodes.append(len(attempts))
        return attempts

    monkeypatch.setattr(Search, "once", counted)
    demo_engine.decode([WindowTask(recordings["en-day.m4a"], OPTIONS)])
    assert decodes == [1, 5]  # the window, and its five sentences


@pytest.mark.parametrize("change", [{"encoder_context": EncoderContext.FULL}, {"draft": True}], ids=["full", "draft"])
def test_whisper_s_own_decode_and_that_of_a_draft_are_not_divided(
    demo_engine: Engine, recordings: dict[str, NDArray[np.int16]], merged: list[int], change: dict[str, object]
) -> None:
    count_of(demo_engine, repeated(recordings), replace(OPTIONS, **change))  # type: ignore[arg-type]
    assert len(merged) <= 2
