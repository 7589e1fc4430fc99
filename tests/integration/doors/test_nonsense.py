"""What makes no sense, at each of the four doors of live sessions of the running service."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.integration.doors.conftest import Enter
from tests.support.clips import ACCEPTABLE_LOSS, SpokenClip, words_missing
from tests.support.live import live_client
from tests.support.live_doors import DOORS, WEBSOCKETS, wyoming_chunk
from tests.support.service import LocalService
from tests.support.waiting import wait_until
from transcription.core.audio import SAMPLE_RATE

SILENCE = bytes(SAMPLE_RATE // 2)  # 0.25 s
MEBIBYTE = 1_048_576
NUL = "a\x00b"
LONG_NUMBER = "9" * 5000


def update(**audio_input: Any) -> str:
    """An event session.update of OpenAI's protocol."""
    session = {"type": "transcription", "audio": {"input": audio_input}}
    return json.dumps({"type": "session.update", "session": session})


def append(audio: Any) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": audio})


# Of all doors whose messages are JSON in text frames.
TEXTS = {
    "empty text": "",
    "no JSON": "hello",
    "half of JSON": '{"type": "',
    "deep lists": "[" * 100_000,
    "deep objects": '{"type":' * 10_000,
    "deep and complete": '{"type":' + "[" * 5000 + "]" * 5000 + "}",
    "a list": "[]",
    "a number": "1e999",
    "NaN": "NaN",
    "a long number": LONG_NUMBER,
    "type is missing": "{}",
    "type is null": '{"type": null}',
    "type is a number": f'{{"type": {LONG_NUMBER}}}',
    "unknown type": '{"type": "dance"}',
    "long type": json.dumps({"type": "x" * 900_000}),
    "half a character": r'{"type": "\ud800"}',
    "half a character as a name": r'{"type": "commit", "\ud800": 1}',
    "no character": r'{"type": "\u0000"}',
    "too large": json.dumps({"type": "x" * MEBIBYTE}),
    "far too large": "x" * (3 * MEBIBYTE),
    "large and not ASCII": "ä" * MEBIBYTE,
}
OWN: dict[str, dict[str, str | bytes]] = {
    "live": {
        "half a sample": b"\x00",
        "frame of more than 1 MiB": bytes(MEBIBYTE + 2),
        "frame of 20 MB": bytes(20_000_000),
        "second start": '{"type": "start"}',
        "second start, all wrong": '{"type": "start", "sample_rate": NaN, "turn_detection": 7}',
        "resume": '{"type": "resume", "session": "", "token": ""}',
        "unknown format": '{"type": "transcript", "format": "doc"}',
        "unknown field": '{"type": "commit", "' + "x" * 900_000 + '": 1}',
    },
    "realtime": {
        "binary": SILENCE,
        "empty binary": b"",
        "audio as a number": append(7),
        "audio is null": append(None),
        "no audio": '{"type": "input_audio_buffer.append"}',
        "no base64": append("%%%%"),
        "base64 of half a sample": append("AAAA"),
        "base64 without its end": append("AAA"),
        "not ASCII": append("ä" * 100),
        "commit of an empty buffer": '{"type": "input_audio_buffer.commit"}',
        "event_id is an object": '{"type": "input_audio_buffer.clear", "event_id": {"a": 1}}',
        "event_id is a number": f'{{"type": "input_audio_buffer.clear", "event_id": {LONG_NUMBER}}}',
        "unknown field": '{"type": "input_audio_buffer.clear", "' + "x" * 900_000 + '": 1}',
        "rate is NaN": update(format={"type": "audio/pcm", "rate": float("nan")}),
        "rate is infinite": '{"type": "session.update", "session": {"type": "transcription", "audio": {"input": '
        '{"format": {"type": "audio/pcm", "rate": 1e999}}}}}',
        "rate is a long number": '{"type": "session.update", "session": {"type": "transcription", "audio": {"input": '
        f'{{"format": {{"type": "audio/pcm", "rate": {LONG_NUMBER}}}}}}}}}}}',
        "rate is text": update(format={"type": "audio/pcm", "rate": "16000"}),
        "rate is too low": update(format={"type": "audio/pcm", "rate": -1}),
        "unknown audio format": update(format={"type": "audio/mp3"}),
        "format is text": update(format="pcm16"),
        "threshold is NaN": update(turn_detection={"type": "server_vad", "threshold": float("nan")}),
        "pause is too long": update(turn_detection={"type": "server_vad", "silence_duration_ms": 10**30}),
        "turns are text": update(turn_detection="server_vad"),
        "model with NUL": update(transcription={"model": NUL}),
        "model is a path": update(transcription={"model": "../../../../etc"}),
        "model with a long name": update(transcription={"model": "m" * 200}),
        "unknown language": update(transcription={"language": NUL}),
        "prompt is too long": update(transcription={"prompt": "x" * 100_000}),
        "another type of session": '{"type": "session.update", "session": {"type": "realtime"}}',
        "session is a list": '{"type": "session.update", "session": []}',
        "beta with wrong types": '{"type": "transcription_session.update", "session": {"modalities": [1]}}',
    },
    "listen": {
        "half a sample": b"\x00",
        "frame of more than 1 MiB": bytes(MEBIBYTE + 2),
        "frame of 20 MB": bytes(20_000_000),
    },
    "wyoming": {
        "half a sample": wyoming_chunk(payload=b"\x00"),
        "data is no JSON": wyoming_chunk("{"),
        "data is a list": wyoming_chunk("[]"),
        "data is deep": wyoming_chunk("[" * 60_000),
        "rate is NaN": wyoming_chunk('{"rate": NaN}'),
        "rate is text": wyoming_chunk('{"rate": "16000"}'),
        "rate is a long number": wyoming_chunk(f'{{"rate": {LONG_NUMBER}}}'),
        "rate is too high": wyoming_chunk('{"rate": 1000000}'),
        "no channels": wyoming_chunk('{"channels": 0}'),
        "another width": wyoming_chunk('{"width": 4}'),
        "language is a list": b'{"type": "transcribe", "data": {"language": []}}\n',
        "ping with a number": f'{{"type": "ping", "data": {{"text": {LONG_NUMBER[:4000]}}}}}\n'.encode(),
    },
}
NONSENSE = {**OWN, **{door: TEXTS | OWN[door] for door in WEBSOCKETS}}


@pytest.mark.parametrize(("door", "name"), [(door, name) for door in DOORS for name in NONSENSE[door]])
def test_what_makes_no_sense_is_an_error_and_the_session_goes_on(enter: Enter, door: str, name: str) -> None:
    with enter(door) as session:
        session.send(NONSENSE[door][name])
        assert session.error()
        session.say(SILENCE)
        assert session.text() == ""
        assert len(session.errors) == 1


@pytest.mark.parametrize("door", DOORS)
def test_after_all_of_it_speech_is_transcribed(enter: Enter, door: str, speech: bytes, spoken_clip: SpokenClip) -> None:
    with enter(door) as session:
        for frame in NONSENSE[door].values():
            session.send(frame)
        session.say(speech)
        assert words_missing(spoken_clip.text, session.text()) <= ACCEPTABLE_LOSS
        assert len(session.errors) == len(NONSENSE[door])


BROKEN_STREAMS = {
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "no JSON": b"hello\n",
    "no text": b"\xff\xfe\n",
    "an empty line": b"\n",
    "a list": b"[]\n",
    "deep": b"[" * 60_000 + b"\n",
    "type is a number": b'{"type": 1e999}\n',
    "half a character": b'{"type": "\\ud800"}\n',
    "a line without an end": b"x" * 200_000,
    "a payload of a gigabyte": b'{"type": "audio-chunk", "payload_length": 1000000000}\n',
    "a negative payload": b'{"type": "audio-chunk", "payload_length": -1}\n',
    "a payload without end": f'{{"type": "audio-chunk", "payload_length": {LONG_NUMBER}}}\n'.encode(),
    "half a byte": b'{"type": "audio-chunk", "payload_length": 0.5}\n',
}


@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_what_cannot_be_told_apart_into_events_ends_a_wyoming_connection_with_an_error(enter: Enter, name: str) -> None:
    with enter("wyoming") as session:
        session.send(BROKEN_STREAMS[name])
        assert session.error()


@pytest.mark.parametrize(
    "start",
    [
        '{"type": "start", "sample_rate": 1e999}',
        '{"type": "start", "sample_rate": NaN}',
        f'{{"type": "start", "sample_rate": {LONG_NUMBER}}}',
        '{"type": "start", "beam_size": 100000}',
        '{"type": "start", "turn_detection": {"threshold": NaN}}',
        '{"type": "start", "turn_detection": {"silence_ms": 1e30}}',
        json.dumps({"type": "start", "model": NUL}),
        json.dumps({"type": "start", "model": "../../../etc/passwd"}),
        json.dumps({"type": "start", "model": "m" * 5000}),
        json.dumps({"type": "start", "language": NUL}),
        json.dumps({"type": "start", "initial_prompt": "x" * 100_000}),
        json.dumps({"type": "start", "hotwords": ["a"]}),
        r'{"type": "start", "model": "\ud800"}',
        json.dumps({"type": "resume", "session": "x", "token": "x", "after": -1}),
    ],
)
def test_a_wrong_start_can_be_corrected(client: httpx.Client, start: str) -> None:
    with live_client(client) as live:
        live.socket.send_text(start)
        error = live.next()
        assert error["type"] == "error"
        assert error["error"] in ("invalid_parameter", "unknown_model")
        assert len(error["message"]) < 2000
        assert live.start(language="en")["type"] == "session"


@pytest.mark.parametrize("encoding", ["webm", "ogg"])
def test_bytes_that_are_no_recording_are_an_error(client: httpx.Client, encoding: str) -> None:
    with live_client(client) as live:
        live.start(encoding=encoding)
        live.speak(b"no recording" * 10_000)
        live.until("finished")
        assert [event["error"] for event in live.of("error")] == ["undecodable_media"]
    assert wait_until(lambda: "transcription_live_sessions 0.0" in client.get("/metrics").text)


@pytest.mark.parametrize(
    "query",
    [
        "encoding=linear16&sample_rate=16000&model=%00",
        "encoding=linear16&sample_rate=16000&language=%ff%fe",
        "encoding=linear16&sample_rate=99999999999999999999",
        "encoding=linear16&sample_rate=-1",
        "encoding=linear16&sample_rate=NaN",
        "encoding=linear16&sample_rate=16000&channels=1000",
        "encoding=linear16&sample_rate=16000&interim_results=perhaps",
        "encoding=linear16&sample_rate=16000&model=" + "m" * 5000,
        "encoding=linear16&sample_rate=16000&keyterm=" + "k" * 50_000,
        "encoding=opus",
    ],
)
def test_a_wrong_query_is_refused(service: LocalService, query: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{service.url.replace('http', 'ws')}/v1/listen?{query}"):
        pass
    assert 400 <= refused.value.response.status_code < 500


@pytest.mark.parametrize("door", WEBSOCKETS)
def test_text_that_is_no_utf8_ends_the_connection_as_the_protocol_has_it(enter: Enter, door: str) -> None:
    with enter(door) as session:
        connection = session.connection  # type: ignore[attr-defined]
        connection.socket.sendall(b"\x81\x82" + bytes(4) + b"\xff\xfe")
        with pytest.raises(ConnectionClosed) as end:
            while True:
                connection.recv(60)
    assert end.value.rcvd is not None
    assert end.value.rcvd.code == 1007
