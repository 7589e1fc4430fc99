"""Times of segments where the model seems to invent its timestamps: those of their words, which are timed unasked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from runners.decode import engine as decoding
from runners.decode.engine import Engine, WindowTask
from runners.decode.rules import Cut
from runners.decode.segments import Segmenter
from tests.support.media_files import read_samples
from tests.support.service import ROOT
from transcription.core.audio import SAMPLE_RATE
from transcription.core.options import DecodeOptions, EncoderContext
from transcription.core.transcript import Segment

# Of this much, which ends within the fourth of five sentences, the model reads one part after the other.
SENTENCES, SECONDS = ROOT / "samples" / "en-day.m4a", 14.7
OPTIONS = DecodeOptions(model="demo", language="en", temperatures=(0.0,))


def heard(demo_engine: Engine, options: DecodeOptions = OPTIONS) -> tuple[Segment, ...]:
    samples = read_samples(SENTENCES)[: round(SECONDS * SAMPLE_RATE)]
    [result] = demo_engine.decode([WindowTask(samples, options)])
    return result.segments


def times(segments: Sequence[Segment]) -> list[tuple[float, float]]:
    return [(segment.start, segment.end) for segment in segments]


@pytest.fixture
def as_decoded(demo_engine: Engine) -> list[tuple[float, float]]:
    return times(heard(demo_engine))


@pytest.fixture
def invented(as_decoded: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """All timestamps of the model look invented."""
    monkeypatch.setattr(decoding, "on_a_grid", lambda cuts: True)


@pytest.mark.usefixtures("invented")
def test_segments_have_the_times_of_their_words(demo_engine: Engine, as_decoded: list[tuple[float, float]]) -> None:
    segments = heard(demo_engine)
    timed = heard(demo_engine, replace(OPTIONS, word_timestamps=True))
    assert times(segments) == times(timed) != as_decoded
    assert [segment.text for segment in segments] == [segment.text for segment in timed]


@pytest.mark.usefixtures("invented")
@pytest.mark.parametrize(
    "options",
    [replace(OPTIONS, encoder_context=EncoderContext.FULL), replace(OPTIONS, draft=True)],
    ids=["full", "draft"],
)
def test_faster_whispers_times_and_those_of_drafts_are_the_models(
    demo_engine: Engine, options: DecodeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Segmenter, "time_words", None)
    assert heard(demo_engine, options)


@pytest.mark.usefixtures("invented")
def test_a_model_that_cannot_align_words_gives_its_own_times(
    demo_engine: Engine, as_decoded: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_engine, "_aligns", False)
    assert times(heard(demo_engine)) == as_decoded


def test_the_words_of_a_decode_are_timed_after_the_end_of_the_one_before(
    demo_engine: Engine, as_decoded: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where those of the one before were not timed."""
    ends: list[float] = []
    decodes: list[Sequence[Cut]] = []

    def only_the_second(cuts: Sequence[Cut]) -> bool:
        decodes.append(cuts)
        return len(decodes) == 2

    def noting(self: Segmenter, cuts: Any, *arguments: Any) -> Any:
        ends.append(arguments[-1])
        return original(self, cuts, *arguments)

    original = Segmenter.time_words
    monkeypatch.setattr(decoding, "on_a_grid", only_the_second)
    monkeypatch.setattr(Segmenter, "time_words", noting)
    heard(demo_engine)
    assert ends == [decodes[0][-1].end]
