"""WS /v1/realtime, called by OpenAI's own client."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import openai
import pytest
from openai.resources.realtime.realtime import RealtimeConnection
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.clips import ACCEPTABLE_LOSS, SpokenClip, words_missing
from tests.support.pcm import as_pcm
from tests.support.service import LocalService
from tests.support.waiting import wait_until

INTENT = {"intent": "transcription"}
TRANSCRIPTION = "conversation.item.input_audio_transcription"
COMPLETED = f"{TRANSCRIPTION}.completed"
PIECE_BYTES = 9600  # 200 ms at 24 kHz
SILENCE = bytes(48_000)  # 1 s at 24 kHz

Connect = Callable[..., AbstractContextManager[RealtimeConnection]]


@pytest.fixture
def session(official: openai.OpenAI) -> Iterator[RealtimeConnection]:
    """A new transcription session whose turns the client ends, after session.created and session.updated."""
    with official.realtime.connect(extra_query=INTENT) as connection:
        assert connection.recv().type == "session.created"
        assert change(connection, turn_detection=None).type == "session.updated"
        yield connection


@pytest.fixture(scope="module")
def speech(spoken_clip: SpokenClip) -> bytes:
    """The clip at 24 kHz."""
    return as_pcm(spoken_clip.path, 24_000)


def change(connection: RealtimeConnection, **audio_input: Any) -> Any:
    """Update the session. Returns the answer."""
    connection.session.update(session={"type": "transcription", "audio": {"input": audio_input}})
    return connection.recv()


def say(connection: RealtimeConnection, audio: bytes) -> None:
    for at in range(0, len(audio), PIECE_BYTES):
        connection.input_audio_buffer.append(audio=base64.b64encode(audio[at : at + PIECE_BYTES]).decode())


def events_until(connection: RealtimeConnection, kind: str) -> list[Any]:
    """The events up to the first of this type, that one included."""
    events = [connection.recv()]
    while events[-1].type != kind:
        assert events[-1].type != "error", events[-1]
        events.append(connection.recv())
    return events


def transcript(connection: RealtimeConnection, audio: bytes) -> str:
    """What a turn that the client ends is transcribed to."""
    say(connection, audio)
    connection.input_audio_buffer.commit()
    text: str = events_until(connection, COMPLETED)[-1].transcript
    return text


def test_a_turn_that_the_client_ends(session: RealtimeConnection, speech: bytes, spoken_clip: SpokenClip) -> None:
    say(session, speech)
    session.input_audio_buffer.commit()
    events = events_until(session, COMPLETED)
    by_type = {event.type: event for event in events}
    item = by_type["input_audio_buffer.committed"].item_id
    assert by_type["conversation.item.added"].item.id == by_type["conversation.item.done"].item.id == item
    deltas = [event.delta for event in events if event.type == f"{TRANSCRIPTION}.delta"]
    completed = by_type[COMPLETED]
    assert completed.transcript == "".join(deltas).strip() == spoken_clip.text
    assert completed.item_id == item
    assert (completed.usage.type, completed.usage.seconds) == ("duration", pytest.approx(3.07, abs=0.1))
    assert by_type[f"{TRANSCRIPTION}.segment"].end <= 3.1


def test_a_turn_that_the_server_ends(official: openai.OpenAI, speech: bytes, spoken_clip: SpokenClip) -> None:
    with official.realtime.connect(model="whisper-1", extra_query=INTENT) as connection:
        created = connection.recv().session
        assert created.audio.input.turn_detection.type == "server_vad"
        assert created.audio.input.transcription.model == "whisper-1"
        say(connection, SILENCE + speech + SILENCE)
        events = events_until(connection, COMPLETED)
    by_type = {event.type: event for event in events}
    started, stopped = by_type["input_audio_buffer.speech_started"], by_type["input_audio_buffer.speech_stopped"]
    assert 500 <= started.audio_start_ms <= 1300
    assert 3000 <= stopped.audio_end_ms <= 4200
    assert started.item_id == stopped.item_id == by_type["input_audio_buffer.committed"].item_id
    assert events.index(stopped) < events.index(by_type["input_audio_buffer.committed"])
    assert words_missing(spoken_clip.text, by_type[COMPLETED].transcript) <= ACCEPTABLE_LOSS


@pytest.mark.parametrize(
    ("kind", "rate", "encoding"),
    [("audio/pcm", 16_000, "s16le"), ("audio/pcmu", 8000, "mulaw"), ("audio/pcma", 8000, "alaw")],
)
def test_audio_formats(
    session: RealtimeConnection, spoken_clip: SpokenClip, kind: str, rate: int, encoding: str
) -> None:
    asked = {"type": kind} | ({"rate": rate} if kind == "audio/pcm" else {})
    answer = change(session, format=asked)
    assert answer.session.audio.input.format.to_dict() == asked
    heard = transcript(session, as_pcm(spoken_clip.path, rate, encoding))
    assert words_missing(spoken_clip.text, heard) <= ACCEPTABLE_LOSS


def test_the_beta(official: openai.OpenAI, speech: bytes, spoken_clip: SpokenClip) -> None:
    with official.realtime.connect(extra_query=INTENT, extra_headers={"OpenAI-Beta": "realtime=v1"}) as connection:
        assert json.loads(connection.recv_bytes())["type"] == "transcription_session.created"
        flat = {
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": "whisper-1", "language": "en"},
            "turn_detection": None,
        }
        connection.send_raw(json.dumps({"type": "transcription_session.update", "session": flat}))
        updated = json.loads(connection.recv_bytes())
        assert updated["type"] == "transcription_session.updated"
        assert updated["session"]["input_audio_transcription"]["language"] == "en"
        say(connection, speech)
        connection.input_audio_buffer.commit()
        events = events_until(connection, COMPLETED)
    assert "conversation.item.created" in [event.type for event in events]
    assert events[-1].transcript == spoken_clip.text


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ("no json", "invalid_json", None),
        (b"\x00\x01", "invalid_json", None),
        ('{"type": "response.create"}', "invalid_value", "type"),
        ('{"type": "input_audio_buffer.append", "audio": "%"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "AAAA"}', "invalid_value", "audio"),  # three bytes
        ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty", None),
        (json.dumps({"type": "input_audio_buffer.append", "audio": "A" * 1_000_000}), "string_above_max_length", None),
        (
            '{"type": "session.update", "session": {"type": "transcription", "audio": {"input": {"transcription": '
            '{"model": "gpt-17"}}}}}',
            "model_not_found",
            "session.audio.input.transcription.model",
        ),
    ],
    ids=["text", "binary", "unknown event", "base64", "odd length", "nothing to commit", "too large", "unknown model"],
)
def test_a_wrong_event_is_answered_and_the_session_goes_on(
    session: RealtimeConnection,
    speech: bytes,
    spoken_clip: SpokenClip,
    frame: str | bytes,
    code: str,
    param: str | None,
) -> None:
    session.send_raw(frame)
    event = session.recv()
    assert event.type == "error"
    assert (event.error.code, event.error.param) == (code, param)
    assert event.error.message
    assert change(session, transcription={"language": "en"}).type == "session.updated"


def test_an_update_without_fields_leaves_the_session_in_its_dialect(session: RealtimeConnection) -> None:
    session.send_raw('{"type": "session.update", "session": {}}')
    assert session.recv().error.param == "session.type"
    assert change(session).session.type == "transcription"


def test_after_an_error_speech_is_still_transcribed(
    session: RealtimeConnection, speech: bytes, spoken_clip: SpokenClip
) -> None:
    session.send_raw('{"type": "input_audio_buffer.append", "audio": "%", "event_id": "mine"}')
    assert session.recv().error.event_id == "mine"
    assert transcript(session, speech) == spoken_clip.text


def test_cleared_audio_is_not_transcribed(session: RealtimeConnection, speech: bytes, spoken_clip: SpokenClip) -> None:
    say(session, speech)
    session.input_audio_buffer.clear()
    events_until(session, "input_audio_buffer.cleared")
    assert transcript(session, speech) == spoken_clip.text


def test_probabilities_of_words_on_request(session: RealtimeConnection, speech: bytes, spoken_clip: SpokenClip) -> None:
    include = ["item.input_audio_transcription.logprobs"]
    session.session.update(session={"type": "transcription", "include": include})
    assert session.recv().session.include == include
    say(session, speech)
    session.input_audio_buffer.commit()
    completed = events_until(session, COMPLETED)[-1]
    assert "".join(each.token for each in completed.logprobs).strip() == spoken_clip.text
    assert all(each.logprob <= 0 for each in completed.logprobs)


def test_probabilities_that_are_asked_for_in_a_turn_come_with_the_next_one(
    session: RealtimeConnection, speech: bytes
) -> None:
    say(session, speech)
    session.session.update(session={"type": "transcription", "include": ["item.input_audio_transcription.logprobs"]})
    session.input_audio_buffer.commit()
    completed = events_until(session, COMPLETED)[-1]
    assert completed.transcript
    assert completed.logprobs is None
    say(session, speech)
    session.input_audio_buffer.commit()
    assert events_until(session, COMPLETED)[-1].logprobs


def test_a_client_that_leaves_leaves_no_session(official: openai.OpenAI, client: httpx.Client, speech: bytes) -> None:
    with official.realtime.connect(extra_query=INTENT) as connection:
        say(connection, speech)
    assert wait_until(lambda: "transcription_live_sessions 0.0" in client.get("/metrics").text)


@pytest.mark.parametrize(
    ("query", "status", "code", "param"),
    [
        ("intent=transcription&model=gpt-17", 404, "model_not_found", "model"),
        ("intent=conversation", 400, "invalid_parameter", "intent"),
    ],
)
def test_what_is_wrong_with_a_start_is_answered_over_http(
    service: LocalService, query: str, status: int, code: str, param: str
) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{service.url.replace('http', 'ws')}/v1/realtime?{query}"):
        pass
    response = refused.value.response
    assert response.status_code == status
    error = json.loads(response.body)["error"]
    assert error["code"] == code
    assert error["param"].endswith(param)


# Client secrets

LONG = {"languages": ["en" + "-variant" * 24] * 100}


def open_as_a_browser(service: LocalService, secret: str, path: str = "/v1/realtime") -> Any:
    return connect(
        f"{service.url.replace('http', 'ws')}{path}",
        subprotocols=["realtime", f"openai-insecure-api-key.{secret}"],  # type: ignore[list-item]
        origin=service.url,  # type: ignore[arg-type]
    )


def test_a_client_secret_opens_the_session_that_it_was_made_for(official: openai.OpenAI, service: LocalService) -> None:
    made = official.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={
            "type": "transcription",
            "audio": {"input": {"transcription": {"model": "whisper-1", "language": "de"}}},
        },
    )
    with open_as_a_browser(service, made.value) as websocket:
        assert websocket.subprotocol == "realtime"
        created = json.loads(websocket.recv())
    assert created["session"]["audio"]["input"]["transcription"]["language"] == "de"


def test_a_client_secret_with_a_long_prompt_opens_its_session(official: openai.OpenAI, service: LocalService) -> None:
    prompt = "\U0001f600" * 2000
    transcription = {"model": "whisper-1", "prompt": prompt}
    made = official.realtime.client_secrets.create(
        session={"type": "transcription", "audio": {"input": {"transcription": transcription}}}  # type: ignore[typeddict-item]
    )
    with open_as_a_browser(service, made.value) as websocket:
        created = json.loads(websocket.recv())
    assert created["session"]["audio"]["input"]["transcription"]["prompt"] == prompt


def test_a_forged_client_secret_is_refused(official: openai.OpenAI, service: LocalService) -> None:
    made = official.realtime.client_secrets.create()
    with pytest.raises(InvalidStatus) as refused, open_as_a_browser(service, made.value[:-6]):
        pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["code"] == "invalid_api_key"


def test_a_client_secret_opens_nothing_else(official: openai.OpenAI, service: LocalService) -> None:
    made = official.realtime.client_secrets.create()
    with pytest.raises(InvalidStatus) as refused, open_as_a_browser(service, made.value, "/live"):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"session": {"type": "realtime"}}, "session.type"),
        ({"expires_after": {"anchor": "created_at", "seconds": 9}}, "expires_after.seconds"),
        ({"session": {"type": "transcription", "audio": {"input": {"transcription": {"model": "gpt-17"}}}}}, "model"),
        ({"session": {"type": "transcription", "audio": {"input": {"transcription": LONG}}}}, "session"),
    ],
    ids=["type", "seconds", "model", "too long"],
)
def test_a_client_secret_for_something_wrong_is_refused(client: httpx.Client, body: dict[str, Any], param: str) -> None:
    answer = client.post("/v1/realtime/client_secrets", json=body)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["param"].endswith(param)
