"""OpenAI's own client against the service, with nothing changed but base_url, its answers strictly validated."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent, TranscriptionVerbose

from tests.support.clips import SpokenClip
from tests.support.leftovers import media_processes
from tests.support.recordings import Recordings
from tests.support.service import LocalService
from tests.support.waiting import wait_until

ERROR = {"message", "type", "param", "code"}
Create = Callable[..., Any]


@pytest.fixture
def create(official: openai.OpenAI, spoken_clip: SpokenClip) -> Create:
    """Transcribe the clip, with the parameters given."""

    def call(**parameters: Any) -> Any:
        parameters = {"model": "whisper-1", "file": spoken_clip.path, "temperature": 0} | parameters
        return official.audio.transcriptions.create(**parameters)

    return call


def test_json_has_the_text_and_what_was_used(create: Create, spoken_clip: SpokenClip) -> None:
    answer = create()
    assert answer.text.lower().strip(".") == spoken_clip.text.lower().strip(".")
    assert answer.usage.type == "duration"
    assert answer.usage.seconds == pytest.approx(3.07, abs=0.1)


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "demo"])
def test_names_that_clients_have_built_in_mean_the_default_model(create: Create, model: str) -> None:
    assert create(model=model).text


def test_text_is_the_bare_text(create: Create, spoken_clip: SpokenClip) -> None:
    assert create(response_format="text").strip().lower() == spoken_clip.text.lower()


@pytest.mark.parametrize(("kind", "begins"), [("srt", "1\n00:00:00,"), ("vtt", "WEBVTT\n\n00:00:00.")])
def test_subtitles_are_subtitles(create: Create, kind: str, begins: str) -> None:
    assert create(response_format=kind).startswith(begins)


def test_subtitles_are_laid_out_as_asked(create: Create) -> None:
    lines = create(response_format="srt", extra_body={"max_line_width": 20}).splitlines()
    assert len(lines) > 3
    assert all(len(line) <= 20 for line in lines if "-->" not in line)


def test_verbose_json_has_segments_unless_words_are_asked_for(create: Create) -> None:
    answer: TranscriptionVerbose = create(response_format="verbose_json")
    assert (answer.language, answer.words) == ("english", None)
    assert answer.duration == pytest.approx(3.07, abs=0.1)
    segment = answer.segments[0]
    assert segment.tokens
    assert segment.end > segment.start
    assert segment.text.strip() == answer.text


def test_words_alone_have_no_segments_and_both_have_both(create: Create) -> None:
    words = create(response_format="verbose_json", timestamp_granularities=["word"])
    assert words.segments is None
    assert [word.word for word in words.words] == words.text.split()
    both = create(response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert both.segments
    assert both.words == words.words


def test_logprobs_come_with_json(create: Create) -> None:
    answer = create(include=["logprobs"])
    assert "".join(entry.token for entry in answer.logprobs).strip() == answer.text
    assert all(entry.logprob <= 0 and bytes(map(int, entry.bytes)).decode() == entry.token for entry in answer.logprobs)


def test_a_prompt_keywords_a_language_and_speech_detection_are_taken(create: Create, spoken_clip: SpokenClip) -> None:
    answer = create(
        language="en",
        prompt="A meeting.",
        chunking_strategy={
            "type": "server_vad",
            "threshold": 0.4,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 200,
        },
        extra_body={"keywords": ["monday"], "beam_size": 2},
    )
    assert answer.text.lower() == spoken_clip.text.lower()
    assert create(chunking_strategy="auto").text


def test_the_language_is_looked_for_among_those_named(create: Create) -> None:
    answer = create(response_format="verbose_json", extra_body={"languages": ["de", "fr"]})
    assert answer.language in ("german", "french")


def test_a_translation_is_english_by_name(official: openai.OpenAI, spoken_clips: dict[str, SpokenClip]) -> None:
    german = spoken_clips["de"].path
    answer = official.audio.translations.create(model="whisper-1", file=german, response_format="verbose_json")
    assert answer.language == "english"
    assert official.audio.translations.create(model="whisper-1", file=german).text is not None


def test_the_asynchronous_client_works_too(service: LocalService, spoken_clip: SpokenClip) -> None:
    async def texts() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{service.url}/v1", api_key="unused", _strict_response_validation=True
        ) as client:
            create = client.audio.transcriptions.create
            whole = await create(model="whisper-1", file=spoken_clip.path, temperature=0)
            stream = await create(model="whisper-1", file=spoken_clip.path, temperature=0, stream=True)
            done = [event async for event in stream][-1]
            assert isinstance(done, TranscriptionTextDoneEvent)
            return [whole.text, done.text]

    whole, streamed = asyncio.run(texts())
    assert whole == streamed


def test_models_are_listed_and_found(official: openai.OpenAI) -> None:
    names = [model.id for model in official.models.list()]
    assert {"whisper-1", "demo"} <= set(names)
    assert "base" not in names  # not on disk, and so not allowed
    assert official.models.retrieve("whisper-1").id == "whisper-1"
    with pytest.raises(openai.NotFoundError) as caught:
        official.models.retrieve("hugo")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


# Streaming


def test_a_stream_sends_the_text_as_it_is_decoded_and_the_whole_at_the_end(
    create: Create, recordings: Recordings
) -> None:
    times, deltas = [], []
    for event in create(file=recordings.talk("streamed.mp3", 150), stream=True):
        times.append(time.monotonic())
        if isinstance(event, TranscriptionTextDeltaEvent):
            deltas.append(event.delta)
    assert isinstance(event, TranscriptionTextDoneEvent)
    assert "".join(deltas) == event.text
    assert len(deltas) > 30  # one for each sentence
    assert times[0] < times[-1] - 0.1


def test_a_stream_may_carry_logprobs(create: Create) -> None:
    first = next(iter(create(stream=True, include=["logprobs"])))
    assert "".join(entry.token for entry in first.logprobs).strip() == first.delta.strip()


def test_a_stream_ends_as_openai_ends_it(service: LocalService, spoken_clip: SpokenClip) -> None:
    with spoken_clip.path.open("rb") as file:
        answer = httpx.post(
            f"{service.url}/v1/audio/transcriptions",
            files={"file": file},
            data={"model": "whisper-1", "stream": "true"},
        )
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["type"] == "transcript.text.done"


def test_what_fails_before_the_first_text_is_a_usual_error(create: Create, tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"no recording")
    with pytest.raises(openai.BadRequestError) as caught:
        create(file=tmp_path / "a.mp3", stream=True)
    assert caught.value.param == "file"


def test_a_reader_who_leaves_ends_the_work(service: LocalService, create: Create, recordings: Recordings) -> None:
    stream = create(file=recordings.speech("long.mp3", 590), stream=True)
    next(iter(stream))
    assert media_processes(service)
    stream.close()
    assert wait_until(lambda: not media_processes(service))


# Errors


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"temperature": 2}, "temperature"),
        ({"language": "klingon"}, "language"),
        ({"response_format": "docx"}, "response_format"),
        ({"response_format": "diarized_json", "include": ["logprobs"]}, "include"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ({"response_format": "verbose_json", "include": ["logprobs"]}, "include"),
        ({"response_format": "srt", "stream": True}, "stream"),
        ({"extra_body": {"colour": "red"}}, "colour"),
        ({"language": "en", "extra_body": {"languages": ["de"]}}, "languages"),
        ({"extra_body": {"known_speaker_names": ["Ann"]}}, "known_speaker_references"),
        ({"chunking_strategy": "sometimes"}, "chunking_strategy"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_in_openais_shape(
    create: Create, parameters: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(**parameters)
    error = caught.value
    assert isinstance(error.body, dict)
    assert set(error.body) == ERROR
    assert (error.type, error.param) == ("invalid_request_error", param)
    assert error.request_id == error.response.headers["x-request-id"]
    assert error.response.headers["x-should-retry"] == "false"


def test_an_unknown_model_is_not_found(create: Create) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        create(model="gpt-17")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("path", ["/v1/nowhere", "/v1/audio/nowhere"])
def test_paths_that_are_not_there_answer_in_openais_shape(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == ERROR


def test_a_wrong_method_answers_in_openais_shape_and_only_there(client: httpx.Client) -> None:
    assert set(client.get("/v1/audio/transcriptions").json()["error"]) == ERROR
    assert isinstance(client.get("/transcribe/x").json()["error"], str)


def test_a_client_that_gives_up_ends_the_work_and_may_try_again(
    service: LocalService, official: openai.OpenAI, recordings: Recordings
) -> None:
    """OpenAI's client repeats by itself what timed out; tests/integration/test_jobs.py shows where that goes on."""
    ask = official.audio.transcriptions.create
    with pytest.raises(openai.APITimeoutError):
        ask(model="whisper-1", file=recordings.speech("patience.mp3", 590), timeout=2)
    assert wait_until(lambda: not media_processes(service))
    assert ask(model="whisper-1", file=recordings.speech("patient.mp3", 5)).text
