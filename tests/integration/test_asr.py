"""The doors of whisper-asr-webservice: its documented requests, and those that Bazarr sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pysubs2
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.media_files import read_samples
from tests.support.recordings import Recordings

SEGMENT = {
    *("id", "seek", "start", "end", "text", "tokens", "avg_logprob", "compression_ratio", "no_speech_prob"),
    *("temperature", "words"),
}


def ask(client: httpx.Client, path: str, content: bytes, name: str = "talk.mp3", **query: str) -> httpx.Response:
    return client.post(path, params=query, files={"audio_file": (name, content)})


@pytest.fixture
def sound(spoken_clip: SpokenClip) -> bytes:
    return spoken_clip.path.read_bytes()


@pytest.fixture
def raw(spoken_clip: SpokenClip) -> bytes:
    """What Bazarr makes of a film: ffmpeg's s16le, one channel, 16 kHz."""
    return read_samples(spoken_clip.path).tobytes()


def test_the_documented_request_has_the_documented_json(
    client: httpx.Client, sound: bytes, spoken_clip: SpokenClip
) -> None:
    # curl -X POST -H "content-type: multipart/form-data" -F "audio_file=@/path/to/file" 0.0.0.0:9000/asr?output=json
    answer = ask(client, "/asr", sound, output="json")
    assert answer.status_code == 200
    document = answer.json()
    assert set(document) == {"text", "segments", "language"}
    assert document["text"].strip() == spoken_clip.text
    assert document["language"] == "en"
    assert set(document["segments"][0]) == SEGMENT
    assert document["segments"][0]["words"] is None


def test_text_is_the_default_and_comes_as_a_file(client: httpx.Client, sound: bytes, spoken_clip: SpokenClip) -> None:
    answer = ask(client, "/asr", sound)
    assert answer.text == f"{spoken_clip.text}\n"
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-disposition"] == 'attachment; filename="talk.mp3.txt"'
    assert answer.headers["asr-engine"] == "faster_whisper"
    assert ask(client, "/asr", sound, output="text").text == answer.text


@pytest.mark.parametrize("output", ["srt", "vtt"])
def test_subtitles_can_be_read(client: httpx.Client, sound: bytes, spoken_clip: SpokenClip, output: str) -> None:
    subtitles = pysubs2.SSAFile.from_string(ask(client, "/asr", sound, output=output).text, format_=output)
    assert [line.plaintext for line in subtitles] == [spoken_clip.text]


def test_tab_separated_values_have_times_in_milliseconds(client: httpx.Client, sound: bytes) -> None:
    header, line = ask(client, "/asr", sound, output="tsv").text.splitlines()
    assert header == "start\tend\ttext"
    start, end, _ = line.split("\t")
    assert 0 <= int(start) < int(end) < 4000


def test_every_documented_parameter_is_taken(client: httpx.Client, sound: bytes) -> None:
    answer = ask(
        *(client, "/asr", sound),
        encode="true",
        task="transcribe",
        language="en",
        initial_prompt="A meeting.",
        vad_filter="true",
        word_timestamps="true",
        output="json",
    )
    words = answer.json()["segments"][0]["words"]
    assert set(words[0]) == {"start", "end", "word", "probability"}
    assert ask(client, "/asr", sound, task="translate").status_code == 200


def test_bazarr_gets_subtitles_for_its_raw_samples(client: httpx.Client, raw: bytes, spoken_clip: SpokenClip) -> None:
    # params={"task", "language", "output": "srt", "encode": "false", "video_file"}, files={"audio_file": out}
    answer = client.post(
        "/asr",
        params={"task": "transcribe", "language": "en", "output": "srt", "encode": "false", "video_file": "/tv/a.mkv"},
        files={"audio_file": raw},
    )
    assert answer.status_code == 200
    assert spoken_clip.text in answer.text


def test_bazarr_gets_the_language_of_its_raw_samples(client: httpx.Client, raw: bytes) -> None:
    answer = client.post("/detect-language", params={"encode": "false"}, files={"audio_file": raw})
    assert answer.status_code == 200
    document = answer.json()
    assert (document["detected_language"], document["language_code"]) == ("english", "en")
    assert 0.5 < document["confidence"] <= 1


@pytest.mark.parametrize(("language", "name"), [("de", "german"), ("es", "spanish"), ("fr", "french")])
def test_a_language_is_told_by_name_and_code(
    client: httpx.Client, spoken_clips: dict[str, SpokenClip], language: str, name: str
) -> None:
    clip = spoken_clips[language].path
    document: dict[str, Any] = ask(client, "/detect-language", clip.read_bytes(), clip.name).json()
    assert (document["language_code"], document["detected_language"]) == (language, name)


def test_silence_has_no_language(client: httpx.Client, recordings: Recordings) -> None:
    silence = recordings.silence("silent.wav", 5).read_bytes()
    document = ask(client, "/detect-language", silence, "silent.wav").json()
    assert document == {"detected_language": "undetermined", "language_code": "und", "confidence": 0.0}


def test_subtitles_are_laid_out_as_asked(client: httpx.Client, sound: bytes) -> None:
    answer = ask(client, "/asr", sound, output="srt", max_line_width="20", max_chars_per_second="5")
    assert all(len(line) <= 20 for line in answer.text.splitlines() if "-->" not in line)
    assert int(answer.headers["x-subtitle-warnings"]) > 0
    assert_error(ask(client, "/asr", sound, output="json", max_line_width="20"), 422, "invalid_parameter")


@pytest.mark.parametrize("path", ["/asr", "/detect-language"])
def test_raw_samples_have_the_limits_of_every_recording(client: httpx.Client, path: str) -> None:
    answer = client.post(path, params={"encode": "false"}, files={"audio_file": b"\0" * 100})
    assert_error(answer, 422, "audio_too_short")
    answer = client.post(path, params={"encode": "false"}, files={"audio_file": b"\0" * 3_000_000})
    assert_error(answer, 413, "file_too_large")


def test_what_is_wrong_is_said_in_the_one_shape(client: httpx.Client, sound: bytes) -> None:
    assert_error(ask(client, "/asr", sound, output="docx"), 422, "invalid_parameter")
    assert_error(ask(client, "/asr", sound, language="klingon"), 422, "invalid_parameter")
    assert_error(ask(client, "/asr", b"no recording"), 400, "unsupported_format")
    wrong_field = client.post("/asr", files={"file": ("a.mp3", sound)})
    assert "'audio_file'" in assert_error(wrong_field, 422, "invalid_parameter")["message"]


def test_json_is_json_though_it_is_sent_as_text(client: httpx.Client, sound: bytes) -> None:
    answer = ask(client, "/asr", sound, output="json")
    assert answer.headers["content-type"].startswith("text/plain")
    assert json.loads(answer.text)


def test_speakers_are_told_apart_on_request_with_the_fields_of_whisperx(
    client: httpx.Client, conversation: Path
) -> None:
    sound = conversation.read_bytes()
    query = {"output": "json", "language": "en", "diarize": "true", "min_speakers": "1", "max_speakers": "2"}
    document = ask(client, "/asr", sound, "talk.ogg", **query).json()
    for segment in document["segments"]:
        assert segment["speaker"] in ("SPEAKER_00", "SPEAKER_01")
        assert {word["speaker"] for word in segment["words"]} == {segment["speaker"]}


def test_counts_of_speakers_have_no_effect_without_diarize(client: httpx.Client, sound: bytes) -> None:
    answer = ask(client, "/asr", sound, output="json", min_speakers="2", max_speakers="1")
    assert set(answer.json()["segments"][0]) == SEGMENT
    assert_error(
        ask(client, "/asr", sound, diarize="true", min_speakers="2", max_speakers="1"), 422, "invalid_parameter"
    )
