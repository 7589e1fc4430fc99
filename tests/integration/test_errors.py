from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip, Transcribe
from tests.support.recordings import MAX_DURATION, MAX_FILE_SIZE, Recordings
from tests.support.service import LocalService

NATIVE = "/api/transcribe"


@pytest.fixture(params=["/transcribe", NATIVE])
def route(request: pytest.FixtureRequest) -> str:
    """Both ways in."""
    return str(request.param)


def test_bytes_that_are_no_recording_are_an_unsupported_format(client: httpx.Client, route: str) -> None:
    answer = client.post(route, files={"file": ("talk.mp3", b"this is no recording" * 100)})
    body = assert_error(answer, 400, "unsupported_format")
    assert "flac" in (body["message"] + body["detail"]).lower()


def test_a_name_that_contradicts_the_content_is_refused(transcribe: Transcribe, spoken_clip: SpokenClip) -> None:
    assert_error(transcribe(spoken_clip.path, name="talk.wav"), 400, "unsupported_format")


def test_a_type_that_contradicts_the_content_is_refused(transcribe: Transcribe, spoken_clip: SpokenClip) -> None:
    answer = transcribe(spoken_clip.path, name="talk", content_type="video/webm")
    assert_error(answer, 400, "unsupported_format")


def test_a_playlist_is_refused(transcribe: Transcribe, recordings: Recordings) -> None:
    playlist = recordings.bytes_of("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    assert_error(transcribe(playlist), 400, "unsupported_format")


def test_a_declared_length_above_the_limit_is_refused_before_the_body(service: LocalService, route: str) -> None:
    head = (
        f"POST {route} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {10**10}\r\n\r\n"
    )
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")


def test_too_many_bytes_are_refused_when_they_cross_the_limit(client: httpx.Client, route: str) -> None:
    def form() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        for _ in range(MAX_FILE_SIZE // 100_000 + 1):
            yield b"\0" * 100_000
        yield b"\r\n--b--\r\n"

    answer = client.post(route, content=form(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    body = assert_error(answer, 413, "file_too_large")
    assert str(MAX_FILE_SIZE) in body["message"]


def test_too_many_seconds_are_refused(transcribe: Transcribe, recordings: Recordings) -> None:
    body = assert_error(transcribe(recordings.silence("long.flac", MAX_DURATION + 5)), 413, "audio_too_long")
    assert str(MAX_DURATION) in body["message"]


def test_a_video_without_sound_is_refused(transcribe: Transcribe, recordings: Recordings) -> None:
    assert_error(transcribe(recordings.picture_only("mute.mp4")), 422, "no_audio_stream")


def test_a_broken_recording_is_refused(transcribe: Transcribe, recordings: Recordings, spoken_clip: SpokenClip) -> None:
    m4a = recordings.spoken("m4a").read_bytes()
    broken = recordings.bytes_of("broken.m4a", m4a[: len(m4a) // 3])
    assert_error(transcribe(broken), 422, "undecodable_media")


def test_less_than_a_tenth_of_a_second_is_refused(transcribe: Transcribe, recordings: Recordings) -> None:
    assert_error(transcribe(recordings.silence("click.wav", 0.05)), 422, "audio_too_short")


def test_an_empty_file_is_refused(transcribe: Transcribe, recordings: Recordings) -> None:
    answer = transcribe(recordings.bytes_of("empty.wav", b""))
    assert_error(answer, 422, "audio_too_short")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("language", "klingon"),
        ("response_format", "docx"),
        ("timestamp_granularity", "letter"),
        ("temperature", "1.5"),
        ("temperature", "warm"),
        ("async", "perhaps"),
        ("task", "sing"),
        ("beam_size", "0"),
        ("beam_size", "11"),
        ("vad_filter", "maybe"),
        ("vad_threshold", "-0.1"),
        ("vad_min_silence_ms", "-1"),
        ("vad_speech_pad_ms", "1.5"),
        ("initial_prompt", "x" * 3000),
    ],
)
@pytest.mark.parametrize("place", ["form", "query"])
def test_a_wrong_value_names_its_parameter(
    client: httpx.Client, spoken_clip: SpokenClip, place: str, name: str, value: str
) -> None:
    file = {"file": ("a.mp3", spoken_clip.path.read_bytes())}
    sent = {"params": {name: value}} if place == "query" else {"data": {name: value}}
    body = assert_error(client.post("/transcribe", files=file, **sent), 422, "invalid_parameter")  # type: ignore[arg-type]
    assert name in body["message"]


@pytest.mark.parametrize("model", ["hugo", "../../etc", "/models/demo", ".hidden"])
def test_an_unknown_model_is_refused(transcribe: Transcribe, spoken_clip: SpokenClip, model: str) -> None:
    assert_error(transcribe(spoken_clip.path, model=model), 422, "unknown_model")


def test_an_unknown_parameter_names_the_nearest_one(transcribe: Transcribe, spoken_clip: SpokenClip) -> None:
    body = assert_error(transcribe(spoken_clip.path, langauge="en"), 422, "invalid_parameter")
    assert "Did you mean 'language'?" in body["message"]


def test_a_form_without_a_file_is_refused(client: httpx.Client, route: str) -> None:
    answer = client.post(route, files={"language": (None, "en")})
    body = assert_error(answer, 422, "invalid_parameter")
    assert "file" in body["message"]


def test_a_body_that_is_no_form_is_refused(client: httpx.Client, route: str) -> None:
    assert_error(client.post(route, json={"file": "http://localhost/a.mp3"}), 422, "invalid_parameter")


def test_a_file_given_as_a_url_is_never_fetched(client: httpx.Client, service: LocalService, route: str) -> None:
    answer = client.post(route, files={"file": (None, f"{service.url}/health")})
    assert_error(answer, 422, "invalid_parameter")


@pytest.mark.parametrize("path", ["/nowhere", "/transcribe/extra", "/api", "/health/x"])
def test_an_unknown_route_is_answered_in_the_one_shape(client: httpx.Client, path: str) -> None:
    assert_error(client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/asr", "POST"), ("GET", NATIVE, "POST"), ("POST", "/health", "GET"), ("DELETE", "/models", "GET")],
)
def test_a_wrong_method_is_answered_in_the_one_shape(
    client: httpx.Client, method: str, path: str, allowed: str
) -> None:
    answer = client.request(method, path)
    assert_error(answer, 405, "method_not_allowed")
    assert allowed in answer.headers["allow"]


def test_pickles_are_refused(client: httpx.Client) -> None:
    answer = client.post(NATIVE, content=b"x", headers={"Content-Type": "application/vnd.bentoml+pickle"})
    assert_error(answer, 415, "unsupported_media_type")


def test_messages_show_no_path_of_ours(transcribe: Transcribe, recordings: Recordings, temp_dir: object) -> None:
    answer = transcribe(recordings.bytes_of("broken.wav", b"RIFF\xff\xff\xff\x7fWAVEfmt "))
    assert answer.status_code in (400, 422)
    assert not re.search(re.escape(str(temp_dir)), answer.text)


def test_a_wrong_parameter_of_a_read_is_named(client: httpx.Client) -> None:
    body = assert_error(client.get("/jobs", params={"limit": "many"}), 422, "invalid_parameter")
    assert body["message"].startswith("limit: ")
