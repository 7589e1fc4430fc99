"""Recordings in several languages, and Chinese in both scripts, as the released models write them."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.jobs import finished, read_events, segments_of, submit
from tests.support.media_files import RATE, read_samples, write_wav
from tests.support.speech import ACCOUNT, SIGNS, SPEECH, Hear, joined

pytestmark = pytest.mark.weights

CHINESE = SPEECH / "zh.flac"
# Of 两名伤者为一对跨国新婚夫妇, what base hears on every processor.
SIMPLIFIED, TRADITIONAL = "为一对跨国", "為一對跨國"


def test_each_window_of_a_multilingual_recording_has_its_own_language(hear: Hear, tmp_path: Path) -> None:
    windows = [one_window_of(clip) for clip in (SIGNS, SPEECH / "es.flac", ACCOUNT)]
    recording = write_wav(tmp_path / "three.wav", np.concatenate(windows))
    heard = hear(recording, multilingual="true", vad_filter="false")
    for number, words in enumerate(("my admiration", "blanquecinas", "that account")):
        assert words in "".join(each["text"] for each in heard["segments"] if each["start"] // 30 == number)


def test_long_parts_of_a_multilingual_recording_keep_their_languages(hear: Hear, tmp_path: Path) -> None:
    parts = [*[SIGNS, ACCOUNT] * 3, *[SPEECH / "es.flac"] * 4]  # 36 s of English, 37 s of Spanish
    text = hear(joined(tmp_path / "long.wav", *parts, pause=0.5), multilingual="true")["text"]
    assert "my admiration" in text[:200] and "blanquecinas" in text[-200:]


def test_sentences_of_a_conversation_in_two_languages_keep_their_languages(hear: Hear, tmp_path: Path) -> None:
    conversation = joined(tmp_path / "two.wav", SIGNS, SPEECH / "es.flac", SIGNS, SPEECH / "de.flac", pause=0.7)
    text = hear(conversation, multilingual="true")["text"]
    positions = [text.find("my admiration"), text.find("blanquecinas"), text.rfind("my admiration")]
    assert -1 < positions[0] < positions[1] < positions[2]
    assert "Leichen" in text[positions[2] :]


@pytest.mark.parametrize(("before", "pause"), [(1, 2.0), (2, 0.5)], ids=["in its first window", "in a later one"])
def test_what_fails_in_the_language_of_the_recording_is_written_in_its_own(
    hear: Hear, tmp_path: Path, before: int, pause: float
) -> None:
    recording = joined(tmp_path / "two.wav", *[SPEECH / "de.flac"] * before, SPEECH / "es.flac", pause=pause)
    heard = hear(recording, response_format="verbose_json")
    assert heard["language"] == "de"
    assert heard["text"].count("Raum wurde") == before
    assert "blanquecinas" in heard["text"]
    assert {segment["temperature"] for segment in heard["segments"]} == {0}


def test_a_language_that_was_asked_for_is_kept(hear: Hear, tmp_path: Path) -> None:
    heard = hear(joined(tmp_path / "two.wav", SPEECH / "de.flac", SPEECH / "es.flac"), language="de")
    assert "wurde" in heard["text"]
    assert "blanquecinas" not in heard["text"]


@pytest.mark.parametrize(
    ("language", "text"), [("zh", TRADITIONAL), ("zh-hans", SIMPLIFIED), ("zh_CN", SIMPLIFIED), ("zh-HK", TRADITIONAL)]
)
def test_chinese_has_the_script_of_its_tag(hear: Hear, language: str, text: str) -> None:
    heard = hear(CHINESE, language=language, response_format="verbose_json", timestamp_granularity="word")
    assert heard["language"] == "zh"
    assert text in heard["text"]
    assert "".join(segment["text"] for segment in heard["segments"]) == heard["text"]
    assert "".join(word["word"] for segment in heard["segments"] for word in segment["words"]) == heard["text"]


@pytest.mark.parametrize("name", ["language", "languages[]"])
def test_openai_clients_get_the_script(client: httpx.Client, name: str) -> None:
    data = {"model": "whisper-1", "response_format": "verbose_json", name: "zh-Hans"}
    answer = post(client, "/v1/audio/transcriptions", data=data)
    assert answer.json()["language"] == "chinese"
    assert SIMPLIFIED in answer.json()["text"]


def test_openai_streams_have_the_script(client: httpx.Client) -> None:
    data = {"model": "whisper-1", "language": "zh-Hans", "stream": "true"}
    lines = post(client, "/v1/audio/transcriptions", data=data).text.splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    assert SIMPLIFIED in events[-1]["text"]
    assert "".join(event.get("delta", "") for event in events) == events[-1]["text"]


def test_webservice_clients_and_bentoml_clients_get_the_script(client: httpx.Client) -> None:
    query = {"language": "zh-TW", "output": "json"}
    assert TRADITIONAL in post(client, "/asr", part="audio_file", params=query).json()["text"]
    assert SIMPLIFIED in post(client, "/api/transcribe", data={"language": "zh-SG"}).json()["text"]


def test_jobs_have_the_script_in_their_events_and_their_result(client: httpx.Client) -> None:
    job = submit(client, CHINESE, language="zh-Hans")
    assert SIMPLIFIED in finished(client, job)["result"]["text"]
    assert SIMPLIFIED in "".join(segment["text"] for segment in segments_of(read_events(client, job)))


def one_window_of(path: Path) -> NDArray[np.int16]:
    """A recording followed by silence until its window of 30 s is full."""
    samples = read_samples(path)
    return np.concatenate((samples, np.zeros(30 * RATE - len(samples), np.int16)))


def post(client: httpx.Client, path: str, part: str = "file", **fields: object) -> httpx.Response:
    answer = client.post(path, files={part: (CHINESE.name, CHINESE.read_bytes())}, **fields)
    assert answer.status_code == 200, answer.text
    return answer
