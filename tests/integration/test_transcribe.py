from __future__ import annotations

import json
import re

import httpx
import pytest

from tests.support.clips import ACCEPTABLE_LOSS, SpokenClip, Transcribe, words_missing
from tests.support.media_files import ALL_FORMATS
from tests.support.recordings import Recordings

WORD_BREAKS = re.compile(r"[^\w']+")


@pytest.mark.parametrize("language", ["en", "es", "de", "fr"])
def test_a_sample_of_each_language_is_understood(
    transcribe: Transcribe, spoken_clips: dict[str, SpokenClip], language: str
) -> None:
    clip = spoken_clips[language]
    heard = transcribe(clip.path).json()
    assert (heard["language"], heard["text"]) == (language, clip.text)


@pytest.mark.parametrize("container", ALL_FORMATS)
def test_every_container_is_understood(
    transcribe: Transcribe, recordings: Recordings, spoken_clip: SpokenClip, container: str
) -> None:
    answer = transcribe(recordings.spoken(container), language="en")
    assert answer.status_code == 200
    assert words_missing(spoken_clip.text, answer.json()["text"]) <= ACCEPTABLE_LOSS


def test_json_has_exactly_the_fields_of_the_contract(transcribe: Transcribe, spoken_clip: SpokenClip) -> None:
    heard = transcribe(spoken_clip.path).json()
    assert list(heard) == ["text", "language", "language_probability", "duration", "segments", "processing_time"]
    assert list(heard["segments"][0]) == ["id", "start", "end", "text", "confidence"]
    assert 0 < heard["segments"][0]["confidence"] <= 1
    assert 0 < heard["language_probability"] <= 1
    assert heard["duration"] == pytest.approx(3, abs=2)
    assert heard["processing_time"] > 0


def test_word_granularity_adds_words_in_order(transcribe: Transcribe, spoken_clip: SpokenClip) -> None:
    heard = transcribe(spoken_clip.path, timestamp_granularity="word").json()
    assert " ".join(word["word"] for word in heard["words"]) == heard["text"]
    starts = [word["start"] for word in heard["words"]]
    assert starts == sorted(starts)
    assert all(0 <= word["confidence"] <= 1 and word["start"] <= word["end"] for word in heard["words"])


@pytest.mark.parametrize(
    ("response_format", "content_type", "beginning"),
    [
        ("text", "text/plain; charset=utf-8", ""),
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00:"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n"),
        ("tsv", "text/tab-separated-values; charset=utf-8", "start\tend\ttext\n"),
        ("lrc", "text/plain; charset=utf-8", "[00:0"),
        ("json", "application/json", '{"text"'),
        ("verbose_json", "application/json", '{"task"'),
    ],
)
def test_every_response_format(
    transcribe: Transcribe, spoken_clip: SpokenClip, response_format: str, content_type: str, beginning: str
) -> None:
    answer = transcribe(spoken_clip.path, response_format=response_format, language="en")
    assert answer.headers["content-type"] == content_type
    assert answer.text.startswith(beginning)
    assert words_missing(spoken_clip.text, WORD_BREAKS.sub(" ", answer.text)) <= ACCEPTABLE_LOSS


@pytest.mark.parametrize("response_format", ["json", "text", "srt", "vtt", "tsv", "lrc", "verbose_json"])
def test_a_recording_without_speech_is_no_error(
    transcribe: Transcribe, recordings: Recordings, response_format: str
) -> None:
    answer = transcribe(recordings.silence("silence.flac", 3), response_format=response_format)
    assert answer.status_code == 200
    if "json" in response_format:
        heard = json.loads(answer.text)
        assert (heard["text"], heard["segments"], heard["duration"]) == ("", [], 3.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "demo"},
        {"language": "English"},
        {"temperature": "0.4"},
        {"task": "transcribe"},
        {"async": "false"},
        {"beam_size": "1"},
        {"best_of": "2", "temperature": "0.4"},
        {"multilingual": "true"},
        {"hallucinations": "mark"},
        {"initial_prompt": "a talk about meetings"},
        {"hotwords": "meeting"},
        {"vad_filter": "false"},
        {"vad_threshold": "0.3"},
        {"vad_min_silence_ms": "500"},
        {"vad_speech_pad_ms": "200"},
        {"language": "", "model": "", "temperature": ""},
    ],
    ids=lambda fields: "+".join(fields),
)
def test_every_parameter_is_taken(transcribe: Transcribe, spoken_clip: SpokenClip, fields: dict[str, str]) -> None:
    answer = transcribe(spoken_clip.path, **fields)
    assert answer.status_code == 200, answer.text
    assert answer.json()["duration"] > 0


def test_query_parameters_are_taken_too(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    answer = client.post(
        "/transcribe?response_format=srt&language=en", files={"file": ("a.mp3", spoken_clip.path.read_bytes())}
    )
    assert answer.text.startswith("1\n")


def test_a_form_field_wins_over_the_query(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    file = ("a.mp3", spoken_clip.path.read_bytes())
    answer = client.post(
        "/transcribe?response_format=srt", files={"file": file}, data={"response_format": "vtt", "language": "en"}
    )
    assert answer.text.startswith("WEBVTT")


def test_name_and_type_may_be_missing(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    answer = client.post(
        "/transcribe", files={"file": ("recording", spoken_clip.path.read_bytes(), "application/octet-stream")}
    )
    assert answer.status_code == 200, answer.text


def test_a_minute_of_speech_has_times_in_order(transcribe: Transcribe, recordings: Recordings) -> None:
    # The same sentence over and over is what the guard against loops is there for.
    heard = transcribe(recordings.speech("minute.mp3", 60), language="en", hallucinations="keep").json()
    ends = [segment["end"] for segment in heard["segments"]]
    assert ends == sorted(ends)
    assert 45 < ends[-1] <= 61
