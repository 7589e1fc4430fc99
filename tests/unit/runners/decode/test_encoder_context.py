"""The encoder sees no more than it needs, and all of the context when the result is doubtful."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ctranslate2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from runners.decode import search
from runners.decode.encoder_context import (
    CONTEXTS,
    PADDING_FRAMES,
    encoder_context_of,
    is_doubtful,
    is_short_rest,
    most_tokens,
)
from runners.decode.engine import Engine, WindowTask
from runners.decode.model import open_model
from runners.decode.rules import TIME_PRECISION, Attempt
from runners.decode.search import SURE
from runners.placement import DeviceLayout, Placement
from transcription.core.audio import ENCODER_FRAMES, FRAMES_PER_SECOND, SAMPLE_RATE
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.options import DecodeOptions, EncoderContext
from transcription.core.transcript import WindowResult
from transcription.telemetry import metrics

Pcm = NDArray[np.int16]

AUTO = DecodeOptions(model="demo", temperatures=(0.0,))
FULL = replace(AUTO, encoder_context=EncoderContext.FULL)
TIMESTAMP_BEGIN = 50_364
SPOKEN = Attempt((TIMESTAMP_BEGIN, *range(20), TIMESTAMP_BEGIN + 100), -0.2, 1.2, 0.01, 0.0)
FRAMES = st.integers(1, ENCODER_FRAMES)


@given(frames=FRAMES)
def test_a_context_holds_the_speech_and_the_padding_or_is_whole(frames: int) -> None:
    context = encoder_context_of(frames, EncoderContext.AUTO)

    assert context in CONTEXTS
    assert context >= min(frames + PADDING_FRAMES, ENCODER_FRAMES)
    assert context == min(each for each in CONTEXTS if each >= min(frames + PADDING_FRAMES, ENCODER_FRAMES))


@given(frames=FRAMES)
def test_a_full_context_is_whisper_s_own(frames: int) -> None:
    assert encoder_context_of(frames, EncoderContext.FULL) == ENCODER_FRAMES


def spoken(*segments: tuple[float, float]) -> Attempt:
    """A decode of segments with these starts and ends, in seconds, of three tokens each."""
    begin, end = (
        [TIMESTAMP_BEGIN + round(each / TIME_PRECISION) for each in times] for times in zip(*segments, strict=True)
    )
    tokens = [token for first, last in zip(begin, end, strict=True) for token in (first, 1, 2, 3, last)]
    return replace(SPOKEN, tokens=tuple(tokens))


@given(frames=FRAMES)
def test_a_decode_that_reaches_its_last_token_is_doubtful(frames: int) -> None:
    endless = replace(SPOKEN, tokens=(TIMESTAMP_BEGIN,) * most_tokens(frames))

    assert is_doubtful(endless, frames, AUTO, TIMESTAMP_BEGIN, reads_on=True)


@pytest.mark.parametrize(
    ("attempt", "seconds", "doubtful"),
    [
        (SPOKEN, 5, False),
        (SPOKEN, 1, True),  # 20 tokens of text in one second
        (replace(SPOKEN, tokens=tuple(range(8))), 0.6, False),
        (SPOKEN, 5.1, True),  # no speech follows after 2 s
        (replace(SPOKEN, tokens=(*SPOKEN.tokens, TIMESTAMP_BEGIN + 100)), 9, False),  # more follows
        (replace(SPOKEN, avg_logprob=-1.1), 5, True),
        (replace(SPOKEN, compression_ratio=2.5), 5, True),
        (replace(SPOKEN, avg_logprob=-1.1, no_speech_prob=0.9), 5, False),  # silence
    ],
    ids=["spoken", "too fast", "a word", "ends early", "goes on", "improbable", "repetitive", "silence"],
)
def test_a_decode_is_doubtful_when_no_one_speaks_like_that(attempt: Attempt, seconds: float, doubtful: bool) -> None:
    frames = round(seconds * FRAMES_PER_SECOND)
    assert is_doubtful(attempt, frames, AUTO, TIMESTAMP_BEGIN, reads_on=False) is doubtful


@pytest.mark.parametrize(
    ("segments", "doubtful"),
    [
        (((0, 4), (4, 7), (7, 10)), True),  # the last sentence again, in the silence behind the 7.46 s
        (((0, 4), (4, 7), (7, 10), (10, 14)), True),
        (((0, 4), (4, 8)), False),  # times in whole seconds
        (((0, 4.6), (4.6, 9.86)), False),  # most of it is before the end
        (((0, 10),), False),  # a word
    ],
)
def test_a_decode_that_goes_on_behind_the_end_is_doubtful(
    segments: tuple[tuple[float, float], ...], doubtful: bool
) -> None:
    assert is_doubtful(spoken(*segments), 746, AUTO, TIMESTAMP_BEGIN, reads_on=True) is doubtful


@pytest.mark.parametrize(("end", "doubtful"), [(2, True), (4, False)], ids=["too soon to compare", "later"])
def test_an_early_end_is_no_reason_for_doubt_if_what_follows_is_read(end: float, doubtful: bool) -> None:
    assert is_doubtful(spoken((0, end)), 800, AUTO, TIMESTAMP_BEGIN, reads_on=True) is doubtful


@pytest.mark.parametrize(
    ("seek", "seconds", "choice", "short"),
    [
        (500, 1, EncoderContext.AUTO, True),
        (500, 1.01, EncoderContext.AUTO, False),
        (0, 1, EncoderContext.AUTO, False),  # a whole window
        (500, 1, EncoderContext.FULL, False),
    ],
)
def test_a_rest_of_a_second_is_short(seek: int, seconds: float, choice: EncoderContext, short: bool) -> None:
    assert is_short_rest(seek, round(seconds * FRAMES_PER_SECOND), choice) is short


class Watched:
    """The embedded model, with the lengths of what it encoded, and language probabilities that a test can set."""

    def __init__(self) -> None:
        layout = DeviceLayout(slots=1, threads=1, batch=4)
        handle = open_model("demo", EMBEDDED_MODEL_DIR / "demo", Placement("cpu", "int8"), layout)
        self._model = handle.whisper.model
        handle.whisper.model = self
        self._engine = Engine(handle)
        self.encoded: list[int] = []
        self.searches: list[tuple[int, int, int]] = []  # encoder context, windows, beam size
        self.probabilities: dict[int, float] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, features: ctranslate2.StorageView, to_cpu: bool) -> Any:
        self.encoded.append(features.shape[-1])
        return self._model.encode(features, to_cpu)

    def generate(self, encoded: ctranslate2.StorageView, prompts: list[list[int]], **search: Any) -> Any:
        self.searches.append((2 * encoded.shape[1], encoded.shape[0], search["beam_size"]))
        return self._model.generate(encoded, prompts, **search)

    def detect_language(self, encoded: ctranslate2.StorageView) -> list[list[tuple[str, float]]]:
        probability = self.probabilities.get(2 * encoded.shape[1])  # the encoder halves the number of frames
        found: list[list[tuple[str, float]]] = self._model.detect_language(encoded)
        return [[("<|de|>", probability)] for _ in found] if probability else found

    def decode(self, *tasks: tuple[Pcm, DecodeOptions]) -> list[WindowResult]:
        self.encoded.clear()
        self.searches.clear()
        return self._engine.decode([WindowTask(pcm, options) for pcm, options in tasks])


@pytest.fixture
def model() -> Watched:
    return Watched()


@pytest.fixture
def clip(recordings: dict[str, Pcm]) -> Pcm:
    """Four seconds, of which the last is silence."""
    return np.concatenate([recordings["en-meeting.mp3"][: 3 * SAMPLE_RATE], np.zeros(SAMPLE_RATE, np.int16)])


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that repeat a clip stay whole."""
    monkeypatch.setattr("runners.decode.engine.pauses", lambda loudness: [])


def full_contexts() -> float:
    return metrics.FULL_CONTEXTS.labels(model="demo")._value.get()


def texts(results: Sequence[WindowResult]) -> list[str]:
    return ["".join(segment.text for segment in result.segments) for result in results]


def test_a_short_window_is_encoded_shortly(model: Watched, clip: Pcm) -> None:
    [result] = model.decode((clip, AUTO))

    assert model.encoded == [1000]
    assert "meeting" in texts([result])[0]


def test_digital_silence_has_neither_words_nor_a_language_and_costs_nothing(model: Watched, clip: Pcm) -> None:
    silence = np.zeros(15 * SAMPLE_RATE, np.int16)

    unknown, spoken, known = model.decode((silence, AUTO), (clip, AUTO), (silence, replace(AUTO, language="fr")))

    assert model.encoded == [1000]
    assert (unknown.segments, unknown.language_probability) == ((), 0.0)
    assert "meeting" in texts([spoken])[0]
    assert (known.segments, known.language) == ((), "fr")


def test_a_full_context_is_encoded_on_request(model: Watched, clip: Pcm) -> None:
    model.decode((clip, FULL))

    assert model.encoded == [ENCODER_FRAMES]


@pytest.mark.usefixtures("no_pauses")
def test_windows_of_similar_length_are_decoded_together(model: Watched, clip: Pcm) -> None:
    longer = np.resize(clip, 7 * SAMPLE_RATE)

    model.decode((longer, AUTO), (clip, AUTO), (clip[: 2 * SAMPLE_RATE], AUTO), (clip, FULL))

    assert model.searches == [(1000, 2, 5), (1200, 1, 5), (ENCODER_FRAMES, 1, 5)]


def test_windows_are_encoded_apart_on_a_cpu(model: Watched, clip: Pcm) -> None:
    model.decode((clip, AUTO), (clip, AUTO))

    assert model.encoded == [1000, 1000]


@pytest.mark.usefixtures("no_pauses")
def test_a_long_window_that_the_model_is_sure_of_is_decoded_with_one_beam(model: Watched, clip: Pcm) -> None:
    sure = replace(AUTO, log_prob_threshold=-9.0)
    [result] = model.decode((np.resize(clip, 12 * SAMPLE_RATE), sure))

    assert [beams for *_, beams in model.searches] == [1]
    assert result.segments[0].avg_logprob > SURE


def test_a_full_context_is_decoded_with_all_beams(model: Watched, clip: Pcm) -> None:
    model.decode((np.resize(clip, 12 * SAMPLE_RATE), FULL))

    assert [beams for *_, beams in model.searches] == [5]


def test_a_long_window_that_the_model_is_not_sure_of_is_searched(
    model: Watched, clip: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SURE", 0.0)

    model.decode((np.resize(clip, 12 * SAMPLE_RATE), AUTO))

    assert [beams for *_, beams in model.searches][:2] == [1, 5]


def test_a_doubtful_decode_is_made_again_on_the_full_context(model: Watched, clip: Pcm) -> None:
    never_content = replace(AUTO, log_prob_threshold=100.0, no_speech_threshold=2.0)
    before = full_contexts()

    [result] = model.decode((clip, never_content))

    lengths = list(model.encoded)
    assert lengths[:2] == [1000, ENCODER_FRAMES]
    assert full_contexts() == before + len(lengths) / 2
    assert texts([result]) == texts(model.decode((clip, replace(FULL, log_prob_threshold=100.0))))


def test_a_doubtful_language_is_detected_on_the_full_context(model: Watched, clip: Pcm) -> None:
    model.probabilities = {1000: 0.4, ENCODER_FRAMES: 0.9}

    [result] = model.decode((clip, replace(AUTO, only_language=True)))

    assert model.encoded == [1000, ENCODER_FRAMES]
    assert (result.language, result.language_probability) == ("de", 0.9)


def test_a_clear_language_is_detected_on_the_short_context(model: Watched, clip: Pcm) -> None:
    model.probabilities = {1000: 0.6}

    [result] = model.decode((clip, replace(AUTO, only_language=True)))

    assert model.encoded == [1000]
    assert (result.language, result.language_probability) == ("de", 0.6)


def test_a_doubtful_window_does_not_change_the_others(model: Watched, clip: Pcm) -> None:
    never_content = replace(AUTO, log_prob_threshold=100.0, no_speech_threshold=2.0)
    alone = model.decode((clip, AUTO))

    _, other = model.decode((clip, never_content), (clip, AUTO))

    assert texts([other]) == texts(alone)
