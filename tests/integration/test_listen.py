"""WS /v1/listen, called by Deepgram's own client with another address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from deepgram import DeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.socket_client import V1SocketClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.clips import ACCEPTABLE_LOSS, SpokenClip, words_missing
from tests.support.pcm import as_pcm
from tests.support.service import LocalService

RATE = 16_000
PIECE_BYTES = RATE * 2 // 10  # 100 ms
SILENCE = bytes(RATE * 2)  # 1 s
FORMAT = {"model": "nova-3", "encoding": "linear16", "sample_rate": RATE}


@pytest.fixture(scope="module")
def deepgram(service: LocalService) -> DeepgramClient:
    address = service.url.replace("http", "ws")
    environment = DeepgramClientEnvironment(base=service.url, production=address, agent=address, agent_rest=service.url)
    return DeepgramClient(api_key="unused", environment=environment)


@pytest.fixture(scope="module")
def speech(spoken_clip: SpokenClip) -> bytes:
    """The clip at 16 kHz."""
    return as_pcm(spoken_clip.path, RATE)


def say(connection: V1SocketClient, audio: bytes) -> None:
    for at in range(0, len(audio), PIECE_BYTES):
        connection.send_media(audio[at : at + PIECE_BYTES])


def until_closed(connection: V1SocketClient) -> list[Any]:
    return list(connection)


def text_of(messages: list[Any]) -> str:
    finals = [message for message in messages if message.type == "Results" and message.is_final]
    return " ".join(filter(None, (message.channel.alternatives[0].transcript for message in finals)))


def test_interim_and_final_results(deepgram: DeepgramClient, speech: bytes, spoken_clip: SpokenClip) -> None:
    options = {**FORMAT, "language": "en", "interim_results": "true", "vad_events": "true", "utterance_end_ms": "1000"}
    with deepgram.listen.v1.connect(**options) as connection:
        say(connection, speech + SILENCE * 2)
        connection.send_close_stream()
        messages = until_closed(connection)
    assert words_missing(spoken_clip.text, text_of(messages)) <= ACCEPTABLE_LOSS
    [last] = [message for message in messages if message.type == "Results" and message.speech_final]
    assert last.is_final
    assert last.channel.alternatives[0].transcript
    words = [
        word
        for message in messages
        if message.type == "Results" and message.is_final
        for word in message.channel.alternatives[0].words
    ]
    assert [word.word for word in words] == text_of(messages).split()
    assert all(0 <= word.start <= word.end <= 3.5 for word in words)
    kinds = [message.type for message in messages]
    assert kinds[0] == "SpeechStarted"
    assert kinds[-2:] == ["UtteranceEnd", "Metadata"]
    assert messages[-1].duration == pytest.approx(5.07, abs=0.1)


def test_words_have_the_number_of_their_speaker(deepgram: DeepgramClient, speech: bytes) -> None:
    with deepgram.listen.v1.connect(**FORMAT, language="en", diarize="true") as connection:
        say(connection, speech + SILENCE)
        connection.send_close_stream()
        messages = until_closed(connection)
    words = [word for each in messages if each.type == "Results" for word in each.channel.alternatives[0].words]
    assert {word.speaker for word in words} == {0}


def test_finalize(deepgram: DeepgramClient, speech: bytes, spoken_clip: SpokenClip) -> None:
    with deepgram.listen.v1.connect(**FORMAT) as connection:
        say(connection, speech)
        connection.send_finalize()
        message = connection.recv()
        while not message.from_finalize:
            message = connection.recv()
        connection.send_keep_alive()
        connection.send_finalize()
        nothing = connection.recv()
    assert message.is_final
    assert nothing.from_finalize
    assert nothing.channel.alternatives[0].transcript == ""


@pytest.mark.parametrize(("encoding", "ffmpeg"), [("mulaw", "mulaw"), ("alaw", "alaw")])
def test_telephone_audio(deepgram: DeepgramClient, spoken_clip: SpokenClip, encoding: str, ffmpeg: str) -> None:
    with deepgram.listen.v1.connect(model="nova-3", encoding=encoding, sample_rate=8000, language="en") as connection:
        say(connection, as_pcm(spoken_clip.path, 8000, ffmpeg))
        connection.send_close_stream()
        assert words_missing(spoken_clip.text, text_of(until_closed(connection))) <= ACCEPTABLE_LOSS


@pytest.mark.parametrize(
    "options",
    [
        {**FORMAT, "model": "gpt-17"},
        {**FORMAT, "multichannel": "true"},
        {"model": "nova-3"},
        {**FORMAT, "sample_rate": 1},
    ],
    ids=["unknown model", "unsupported", "no encoding", "sample rate"],
)
def test_what_is_wrong_with_a_start_is_answered_over_http(deepgram: DeepgramClient, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidStatus) as refused, deepgram.listen.v1.connect(**options):
        pass
    assert refused.value.response.status_code == 400
    error = json.loads(refused.value.response.body)
    assert (set(error), error["err_code"]) == ({"err_code", "err_msg", "request_id"}, "Bad Request")


@pytest.fixture
def websocket(service: LocalService) -> Iterator[Any]:
    query = "model=nova-3&encoding=linear16&sample_rate=16000"
    with connect(f"{service.url.replace('http', 'ws')}/v1/listen?{query}") as opened:
        yield opened


@pytest.mark.parametrize("frame", ["no json", '{"type": "Dance"}', b"\x00", bytes(1_048_578)])
def test_a_wrong_frame_is_answered_and_the_session_goes_on(websocket: Any, frame: str | bytes) -> None:
    websocket.send(frame)
    error = json.loads(websocket.recv())
    assert error["type"] == "Error"
    assert error["description"]
    websocket.send('{"type": "CloseStream"}')
    assert json.loads(websocket.recv())["type"] == "Metadata"
