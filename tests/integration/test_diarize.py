"""Telling speakers apart, over HTTP: the embedded models and a conversation of two people."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import Transcribe

CONVERSATION = Path(__file__).parents[1] / "data" / "diarization" / "two-speakers.ogg"
LABELS = ["SPEAKER_00", "SPEAKER_01"]
Diarize = Callable[..., httpx.Response]


@pytest.fixture
def diarize(transcribe: Transcribe) -> Diarize:
    """Transcribe the conversation with speakers. Its text is kept: the embedded model is not made for this speech."""

    def call(**fields: str) -> httpx.Response:
        return transcribe(CONVERSATION, **{"diarize": "true", "language": "en", "hallucinations": "keep", **fields})

    return call


def test_segments_have_speakers_and_the_transcript_lists_them(diarize: Diarize) -> None:
    heard = diarize().json()
    assert [speaker["label"] for speaker in heard["speakers"]] == LABELS
    assert sum(speaker["share"] for speaker in heard["speakers"]) == pytest.approx(1, abs=0.001)
    assert {segment["speaker"] for segment in heard["segments"]} == set(LABELS)
    assert "words" not in heard


def test_words_have_speakers_if_words_are_requested(diarize: Diarize) -> None:
    words = diarize(timestamp_granularity="word").json()["words"]
    assert {word["speaker"] for word in words} == set(LABELS)
    assert all(one["start"] <= other["start"] for one, other in pairwise(words))


def test_the_same_recording_has_the_same_speakers_each_time(diarize: Diarize) -> None:
    first, second = diarize(), diarize()
    assert first.json()["speakers"] == second.json()["speakers"]


@pytest.mark.parametrize(
    ("response_format", "named"),
    [("srt", "P00: "), ("vtt", "<v P00>"), ("rttm", "<NA> <NA> P00 <NA> <NA>"), ("tsv", "\tP00"), ("text", "P00: ")],
)
def test_every_format_has_their_names(diarize: Diarize, response_format: str, named: str) -> None:
    answer = diarize(response_format=response_format, speaker_labels="P")
    assert answer.status_code == 200
    assert named in answer.text
    assert named.replace("P00", "P01") in answer.text


def test_the_number_of_speakers_may_be_given(diarize: Diarize) -> None:
    assert len(diarize(num_speakers="1").json()["speakers"]) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"num_speakers": "0"},
        {"num_speakers": "200"},
        {"min_speakers": "3", "max_speakers": "2"},
        {"num_speakers": "2", "min_speakers": "2"},
        {"diarize": "", "num_speakers": "2"},
        {"diarize": "", "response_format": "rttm"},
    ],
)
def test_what_makes_no_sense_is_refused(diarize: Diarize, fields: dict[str, str]) -> None:
    assert_error(diarize(**fields), 422, "invalid_parameter")
