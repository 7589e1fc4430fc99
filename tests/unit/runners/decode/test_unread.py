"""Speech that a decode leaves unread at the end of its part, on the embedded checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runners.decode.engine import Engine, WindowTask
from runners.decode.rules import Attempt
from runners.decode.search import Search
from runners.decode.unread import is_as_loud, may_be_unread
from tests.support.media_files import read_samples
from tests.support.service import ROOT
from transcription.core.audio import FRAMES_PER_SECOND, SAMPLE_RATE
from transcription.core.options import DecodeOptions, EncoderContext

SENTENCES = ROOT / "samples" / "en-day.m4a"
FIRST, SECOND = (2.9, 6.3), (0.2, 2.2)  # seconds: "the train to london …", "good morning anna …"
FIRST_WORDS = ["the", "good"]
OPTIONS = DecodeOptions(model="demo", temperatures=(0.0,))
SPEECH, FAINT, SILENCE = 0.3, -0.2, -0.7  # mean features of a frame


def heard(demo_engine: Engine, options: DecodeOptions = OPTIONS) -> list[str]:
    """The first word of each of the two sentences, as it is heard."""
    samples = read_samples(SENTENCES)
    parts = [samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] for start, end in (FIRST, SECOND)]
    [result] = demo_engine.decode([WindowTask(np.concatenate(parts), options)])
    return [segment.text.split()[0] for segment in result.segments]


@pytest.fixture
def stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first decode of a window says that no speech follows the first sentence."""
    search = Search._search
    made: list[Attempt] = []

    def cut(self: Search, *arguments: Any) -> Sequence[Attempt]:
        attempts = search(self, *arguments)
        if not made:
            made.extend(attempts)
            (whole,) = attempts
            begin = self._tokenizers.timestamp_begin
            ends = [at for at, token in enumerate(whole.tokens) if token >= begin]
            attempts = [replace(whole, tokens=whole.tokens[: ends[1] + 1])]
        return attempts

    monkeypatch.setattr(Search, "_search", cut)


@pytest.mark.usefixtures("stops_early")
@pytest.mark.parametrize("words", [False, True])
def test_the_sentence_after_a_decode_that_stops_early_is_read(demo_engine: Engine, words: bool) -> None:
    assert heard(demo_engine, replace(OPTIONS, word_timestamps=words)) == FIRST_WORDS


@pytest.mark.usefixtures("stops_early")
@pytest.mark.parametrize(
    "options",
    [replace(OPTIONS, encoder_context=EncoderContext.FULL), replace(OPTIONS, draft=True, beam_size=1)],
    ids=str,
)
def test_faster_whispers_tokens_and_drafts_end_where_the_model_ends(
    demo_engine: Engine, options: DecodeOptions
) -> None:
    assert heard(demo_engine, options) == FIRST_WORDS[:1]


@pytest.mark.usefixtures("stops_early")
def test_words_later_than_the_last_timestamp_are_not_read_twice(
    demo_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the model invents the timestamps, the alignment tells how far it has read."""

    def late(self: Any, cuts: Any, *arguments: Any) -> Any:
        return [(each, ()) for each in cuts], 5.2

    monkeypatch.setattr("runners.decode.segments.Segmenter.time_words", late)
    monkeypatch.setattr("runners.decode.engine.pauses", lambda loudness: [])  # where it would be divided
    assert heard(demo_engine) == FIRST_WORDS[:1]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ([SPEECH] * 150, True),
        ([SILENCE] * 100 + [SPEECH] * 50, True),
        ([SILENCE] * 150, False),
        ([FAINT] * 150, False),  # noise
        ([SILENCE] * 100 + [SPEECH] * 20, False),  # a click, or a breath
        ([SPEECH] * 60, False),  # as long as a pause
    ],
)
def test_a_sound_as_loud_as_what_was_read_counts_as_speech(rest: list[float], expected: bool) -> None:
    read = [SPEECH, SILENCE, SILENCE] * FRAMES_PER_SECOND
    loudness = np.array(read + rest, np.float32)
    assert (may_be_unread(len(read), len(loudness)) and is_as_loud(loudness, len(read))) is expected


def test_after_a_word_nothing_is_read_on() -> None:
    """Noise would take one decode for each sound that is taken for a word."""
    assert not may_be_unread(2 * FRAMES_PER_SECOND, 1000)
