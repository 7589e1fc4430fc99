"""Speakers through OpenAI's own client, its answers strictly validated, and the route of LocalAI and speaches."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.audio import TranscriptionDiarized, TranscriptionTextSegmentEvent

from tests.support.clips import SpokenClip
from tests.support.conversation import CONVERSATION, CONVERSATION_SECONDS, SHORT_SECONDS
from tests.support.media_files import run_ffmpeg

Create = Callable[..., Any]


@pytest.fixture
def told_apart(official: openai.OpenAI, conversation: Path) -> Create:
    """Transcribe a conversation of two. Its text is kept: the embedded model is not made for this speech."""

    def call(**parameters: Any) -> Any:
        sent = {"model": "whisper-1", "file": conversation, "language": "en", "temperature": 0} | parameters
        sent["extra_body"] = {"hallucinations": "keep", **parameters.get("extra_body", {})}
        return official.audio.transcriptions.create(**sent)

    return call


@pytest.mark.parametrize("model", ["gpt-4o-transcribe-diarize", "whisper-1"])
def test_diarized_json_has_segments_with_speakers(told_apart: Create, model: str) -> None:
    answer = told_apart(
        model=model, file=CONVERSATION, response_format="diarized_json", chunking_strategy="auto"
    )  # of more than one window
    assert isinstance(answer, TranscriptionDiarized)
    assert {segment.speaker for segment in answer.segments} == {"A", "B"}
    assert (answer.task, answer.segments[0].id) == ("transcribe", "seg_001")
    assert answer.duration == pytest.approx(CONVERSATION_SECONDS, abs=1)
    assert " ".join(segment.text for segment in answer.segments) == answer.text


def test_a_stream_of_diarized_json_has_the_text_and_then_the_segments(told_apart: Create) -> None:
    stream = told_apart(model="gpt-4o-transcribe-diarize", response_format="diarized_json", stream=True)
    events = list(stream)
    kinds = [event.type for event in events]
    assert list(dict.fromkeys(kinds)) == ["transcript.text.delta", "transcript.text.segment", "transcript.text.done"]
    segments = [event for event in events if isinstance(event, TranscriptionTextSegmentEvent)]
    assert {segment.speaker for segment in segments} == {"A", "B"}
    assert " ".join(segment.text for segment in segments) == events[-1].text


def test_the_model_that_tells_speakers_apart_shows_none_in_json(told_apart: Create) -> None:
    answer = told_apart(model="gpt-4o-transcribe-diarize")
    assert answer.text
    assert "segments" not in answer.to_dict()


def test_subtitles_of_the_model_that_tells_speakers_apart_name_them(told_apart: Create) -> None:
    assert "SPEAKER_00: " in told_apart(model="gpt-4o-transcribe-diarize", response_format="srt")


def test_verbose_json_has_speakers_if_they_are_requested(told_apart: Create) -> None:
    extra = {"diarize": True, "num_speakers": 1}
    answer = told_apart(response_format="verbose_json", extra_body=extra)
    assert {segment.speaker for segment in answer.segments} == {"SPEAKER_00"}


@pytest.mark.parametrize("extra", [{"num_speakers": 0}, {"min_speakers": 3, "max_speakers": 2}, {"max_speakers": 200}])
def test_counts_of_speakers_that_make_no_sense_are_refused(told_apart: Create, extra: dict[str, int]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        told_apart(response_format="diarized_json", extra_body=extra)
    assert refused.value.param in extra


def test_a_translation_has_no_diarized_json(official: openai.OpenAI, spoken_clip: SpokenClip) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        official.audio.translations.create(
            model="whisper-1", file=spoken_clip.path, extra_body={"response_format": "diarized_json"}
        )
    assert refused.value.param == "response_format"


@pytest.fixture
def turns(client: httpx.Client, conversation: Path) -> Callable[..., httpx.Response]:
    """POST the conversation to the route of LocalAI and speaches."""

    def call(**fields: str) -> httpx.Response:
        file = {"file": (conversation.name, conversation.read_bytes())}
        return client.post("/v1/audio/diarization", files=file, data=fields)

    return call


def test_turns_are_answered_as_localai_and_speaches_do(turns: Callable[..., httpx.Response]) -> None:
    document = turns(model="pyannote", num_speakers="0").json()
    assert (document["task"], document["num_speakers"]) == ("diarize", 2)
    assert document["duration"] == pytest.approx(SHORT_SECONDS, abs=1)
    first = document["segments"][0]
    assert (first["id"], first["speaker"], first["label"]) == (0, "SPEAKER_00", "0")
    assert first["start"] == pytest.approx(0.95, abs=0.3)
    assert {segment["speaker"] for segment in document["segments"]} == {"SPEAKER_00", "SPEAKER_01"}
    assert "speakers" not in document


def test_verbose_json_of_turns_has_the_speakers(turns: Callable[..., httpx.Response]) -> None:
    document = turns(response_format="verbose_json").json()
    assert [speaker["id"] for speaker in document["speakers"]] == ["SPEAKER_00", "SPEAKER_01"]
    assert sum(speaker["segment_count"] for speaker in document["speakers"]) == len(document["segments"])
    assert all(5 < speaker["total_speech_duration"] < 15 for speaker in document["speakers"])


def test_rttm_of_turns_is_text(turns: Callable[..., httpx.Response]) -> None:
    answer = turns(response_format="rttm", num_speakers="1")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert all(line.startswith("SPEAKER audio 1 ") for line in answer.text.splitlines())
    assert "SPEAKER_00" in answer.text
    assert "SPEAKER_01" not in answer.text


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"num_speakers": "-1"}, "num_speakers"),
        ({"num_speakers": "200"}, "num_speakers"),
        ({"min_speakers": "3", "max_speakers": "2"}, "min_speakers"),
        ({"response_format": "srt"}, "response_format"),
        ({"include_text": "true"}, "include_text"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_parameter_of_turns_is_named(
    turns: Callable[..., httpx.Response], fields: dict[str, str], parameter: str
) -> None:
    answer = turns(**fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, parameter)


def test_turns_of_what_is_no_recording_are_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/audio/diarization", files={"file": ("a.mp3", b"no sound")})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Data URLs of 5 s of each of the two speakers."""
    urls = []
    for number, start in enumerate((15, 9)):
        path = tmp_path_factory.mktemp("samples") / f"{number}.wav"
        run_ffmpeg("-ss", str(start), "-t", "4.5", "-i", str(CONVERSATION), str(path))
        urls.append(f"data:audio/wav;base64,{base64.b64encode(path.read_bytes()).decode()}")
    return urls


def test_known_speakers_are_recognised(told_apart: Create, samples: list[str]) -> None:
    answer = told_apart(
        response_format="diarized_json", known_speaker_names=["agent", "customer"], known_speaker_references=samples
    )
    assert list(dict.fromkeys(segment.speaker for segment in answer.segments)) == ["agent", "customer"]


def test_whoever_is_not_known_has_a_letter(told_apart: Create, samples: list[str]) -> None:
    answer = told_apart(
        response_format="diarized_json", known_speaker_names=["customer"], known_speaker_references=samples[1:]
    )
    assert list(dict.fromkeys(segment.speaker for segment in answer.segments)) == ["A", "customer"]


def test_turns_have_the_names_of_known_speakers(turns: Callable[..., httpx.Response], samples: list[str]) -> None:
    answer = turns(**{"known_speaker_names[]": "agent", "known_speaker_references[]": samples[0]})
    assert {segment["speaker"] for segment in answer.json()["segments"]} == {"agent", "SPEAKER_01"}


@pytest.mark.parametrize("url", ["UklGR", "data:audio/wav;base64,%%", "data:audio/wav;base64,AAAA", "data:,a"])
def test_a_sample_that_is_no_recording_is_refused(told_apart: Create, url: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        told_apart(response_format="diarized_json", known_speaker_names=["Ann"], known_speaker_references=[url])
    assert refused.value.param == "known_speaker_references"


@pytest.mark.parametrize("seconds", ["1", "12"])
def test_a_sample_that_is_too_short_or_too_long_is_refused(told_apart: Create, tmp_path: Path, seconds: str) -> None:
    run_ffmpeg("-ss", "15", "-t", seconds, "-i", str(CONVERSATION), str(tmp_path / "a.wav"))
    url = f"data:audio/wav;base64,{base64.b64encode((tmp_path / 'a.wav').read_bytes()).decode()}"
    with pytest.raises(openai.BadRequestError, match=r" s long|longer than 10 s") as refused:
        told_apart(response_format="diarized_json", known_speaker_names=["Ann"], known_speaker_references=[url])
    assert refused.value.param == "known_speaker_references"


@pytest.mark.parametrize("names", [["Ann"], ["Ann", "Ann"], ["Ann", "B"], ["Ann", " "]])
def test_names_of_known_speakers_that_make_no_sense_are_refused(
    told_apart: Create, samples: list[str], names: list[str]
) -> None:
    with pytest.raises(openai.BadRequestError):
        told_apart(response_format="diarized_json", known_speaker_names=names, known_speaker_references=samples)
