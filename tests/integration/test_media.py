"""Recordings as people have them, at every door: late sound, several tracks, inverted channels, junk, wrong names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bentoml
import httpx
import numpy as np
import pytest

from tests.support.clips import ACCEPTABLE_LOSS, SpokenClip, Transcribe, words_missing
from tests.support.jobs import finished, submit
from tests.support.media_files import PICTURE, RATE, read_samples, run_ffmpeg, write_wav
from tests.support.recordings import MAX_DURATION
from tests.support.service import ROOT, LocalService

WARNINGS = "X-Transcription-Warnings"
Clips = dict[str, SpokenClip]
Door = Callable[..., str]  # the text that a door hears in a file


@pytest.fixture(scope="module")
def film(spoken_clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English and German tracks, of which the second one is the default."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    tracks = ("-i", str(spoken_clips["en"].path), "-i", str(spoken_clips["de"].path), "-map", "0:a", "-map", "1:a")
    marks = ("-disposition:a:0", "0", "-disposition:a:1", "default", "-metadata:s:a:0", "language=eng")
    run_ffmpeg(*tracks, *marks, "-c:a", "flac", str(path))
    return path


@pytest.fixture(scope="module")
def two_channels(spoken_clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English in the left channel, German in the right one."""
    path = tmp_path_factory.mktemp("stereo") / "talk.wav"
    voices = [read_samples(spoken_clips[language].path) for language in ("en", "de")]
    samples = np.zeros((max(map(len, voices)), 2), np.int16)
    for channel, voice in enumerate(voices):
        samples[: len(voice), channel] = voice
    raw = path.with_suffix(".raw")
    raw.write_bytes(samples.tobytes())
    run_ffmpeg("-f", "s16le", "-ar", str(RATE), "-ac", "2", "-i", str(raw), str(path))
    return path


def transcribe_door(service: LocalService, path: Path, **fields: str) -> str:
    answer = httpx.post(f"{service.url}/transcribe", files={"file": path.open("rb")}, data=fields, timeout=60)
    return str(answer.raise_for_status().json()["text"])


def openai_door(service: LocalService, path: Path, **fields: str) -> str:
    data = {"model": "whisper-1", **fields}
    answer = httpx.post(
        f"{service.url}/v1/audio/transcriptions", files={"file": path.open("rb")}, data=data, timeout=60
    )
    return str(answer.raise_for_status().json()["text"])


def asr_door(service: LocalService, path: Path, **fields: str) -> str:
    answer = httpx.post(f"{service.url}/asr", files={"audio_file": path.open("rb")}, params=fields, timeout=60)
    return answer.raise_for_status().text


def native_door(service: LocalService, path: Path, **fields: Any) -> str:
    with bentoml.SyncHTTPClient(service.url) as client:
        return str(client.transcribe(file=path, **fields)["text"])


def job_door(service: LocalService, path: Path, **fields: str) -> str:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        return str(finished(client, submit(client, path, **fields))["result"]["text"])


def command_door(service: LocalService, path: Path, **fields: str) -> str:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in fields.items()]
    command = [sys.executable, "-m", "transcription.cli", "--stdout", "--server", service.url, *options, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=100).stdout.decode()


DOORS: list[Door] = [transcribe_door, openai_door, asr_door, native_door, job_door, command_door]


def assert_heard(clip: SpokenClip, text: str) -> None:
    assert words_missing(clip.text, text) <= ACCEPTABLE_LOSS, text


@pytest.mark.parametrize("door", DOORS)
def test_the_default_track_is_heard_at_every_door(
    door: Door, service: LocalService, film: Path, spoken_clips: Clips
) -> None:
    assert_heard(spoken_clips["de"], door(service, film))


@pytest.mark.parametrize("door", DOORS)
def test_every_door_lets_clients_choose_a_track(
    door: Door, service: LocalService, film: Path, spoken_clips: Clips
) -> None:
    assert_heard(spoken_clips["en"], door(service, film, audio_track="1"))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("channel", "language"), [("left", "en"), ("right", "de")])
def test_every_door_lets_clients_choose_a_channel(
    door: Door, service: LocalService, two_channels: Path, spoken_clips: Clips, channel: str, language: str
) -> None:
    assert_heard(spoken_clips[language], door(service, two_channels, channel=channel))


def test_the_other_tracks_are_named_in_a_warning_and_in_a_header(transcribe: Transcribe, film: Path) -> None:
    answer = transcribe(film)
    [warning] = answer.json()["warnings"]
    assert warning["code"] == "other_audio_tracks"
    assert "track 1 (eng)" in warning["message"]
    assert answer.headers[WARNINGS] == "other_audio_tracks"
    assert transcribe(film, response_format="srt").headers[WARNINGS] == "other_audio_tracks"


def test_a_track_that_does_not_exist_is_refused(transcribe: Transcribe, film: Path) -> None:
    answer = transcribe(film, audio_track="3")
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_parameter")
    assert "no audio track 3" in answer.json()["message"]


def test_a_silent_first_track_is_passed_over(transcribe: Transcribe, spoken_clip: SpokenClip, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    silence = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo:d=4")
    run_ffmpeg(*silence, "-i", str(spoken_clip.path), "-map", "0:a", "-map", "1:a", "-c:a", "aac", str(path))
    assert_heard(spoken_clip, transcribe(path).json()["text"])


@pytest.mark.parametrize("extension", ["mkv", "mp4", "ts"])
def test_cues_of_sound_that_starts_late_are_late(
    transcribe: Transcribe, spoken_clip: SpokenClip, tmp_path: Path, extension: str
) -> None:
    path = tmp_path / f"late.{extension}"
    sound = ("-itsoffset", "7", "-i", str(spoken_clip.path), "-map", "0:v", "-map", "1:a")
    run_ffmpeg(*PICTURE, *sound, "-c:v", "mpeg4", "-c:a", "aac", str(path))
    early = transcribe(spoken_clip.path, timestamp_granularity="word").json()
    late = transcribe(path, timestamp_granularity="word").json()
    assert_heard(spoken_clip, late["text"])
    assert late["words"][0]["start"] - early["words"][0]["start"] == pytest.approx(7, abs=0.3)
    assert late["duration"] - early["duration"] == pytest.approx(7, abs=0.3)


def test_a_segment_does_not_end_after_a_very_short_recording(
    transcribe: Transcribe, spoken_clip: SpokenClip, tmp_path: Path
) -> None:
    samples = read_samples(spoken_clip.path)
    path = write_wav(tmp_path / "end.wav", samples[RATE // 2 : RATE // 2 + RATE // 5])
    answer = transcribe(path, vad_filter="false", hallucinations="keep").json()
    assert all(segment["end"] <= answer["duration"] for segment in answer["segments"])


def test_channels_that_cancel_each_other_are_heard(
    transcribe: Transcribe, spoken_clip: SpokenClip, tmp_path: Path
) -> None:
    path = tmp_path / "inverted.wav"
    run_ffmpeg("-i", str(spoken_clip.path), "-af", "pan=stereo|c0=c0|c1=-1*c0", str(path))
    assert_heard(spoken_clip, transcribe(path).json()["text"])


def test_a_recording_that_claims_to_be_longer_than_allowed_is_heard(
    transcribe: Transcribe, spoken_clip: SpokenClip, tmp_path: Path
) -> None:
    path = tmp_path / "off.webm"
    run_ffmpeg("-i", str(spoken_clip.path), "-c:a", "libopus", "-output_ts_offset", str(2 * MAX_DURATION), str(path))
    answer = transcribe(path).json()
    assert_heard(spoken_clip, answer["text"])
    assert answer["duration"] < MAX_DURATION


@pytest.mark.parametrize("junk", [bytes(4321), bytes(range(256)) * 10])
def test_sound_behind_junk_is_heard(
    transcribe: Transcribe, spoken_clip: SpokenClip, tmp_path: Path, junk: bytes
) -> None:
    path = tmp_path / "junk.mp3"
    path.write_bytes(junk + spoken_clip.path.read_bytes())
    assert_heard(spoken_clip, transcribe(path).json()["text"])


def test_very_quiet_speech_is_heard(transcribe: Transcribe, spoken_clip: SpokenClip, tmp_path: Path) -> None:
    quiet = np.rint(read_samples(spoken_clip.path) * 0.002).astype(np.int16)
    assert_heard(spoken_clip, transcribe(write_wav(tmp_path / "quiet.wav", quiet)).json()["text"])


def test_a_prompt_that_is_too_long_is_cut_with_a_warning(transcribe: Transcribe, spoken_clip: SpokenClip) -> None:
    text = "There's iron they say in all our blood and a grain or two perhaps is good. " * 26
    answer = transcribe(spoken_clip.path, initial_prompt=text, hotwords=text)
    assert answer.status_code == 200
    assert [warning["code"] for warning in answer.json()["warnings"]] == ["prompt_cut"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *((f"/v1/audio/{name}", "file") for name in ("transcriptions", "translations", "diarization")),
        *(("/asr", "audio_file"), ("/detect-language", "audio_file")),
    ],
)
@pytest.mark.parametrize(("name", "kind"), [("file.wav", "audio/wav"), ("file.mp3", "text/plain"), ("a.txt", "")])
def test_a_wrong_name_or_type_is_a_warning_for_other_services_clients(
    client: httpx.Client, spoken_clip: SpokenClip, path: str, field: str, name: str, kind: str
) -> None:
    file = (name, spoken_clip.path.read_bytes(), kind or None)
    answer = client.post(path, files={field: file}, data={"model": "whisper-1"} if field == "file" else {})
    assert answer.status_code == 200
    assert answer.headers[WARNINGS] == "wrong_file_name_or_type"


def test_a_stream_has_the_warning_too(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    file = ("file.wav", spoken_clip.path.read_bytes(), "audio/wav")
    data = {"model": "whisper-1", "stream": "true"}
    answer = client.post("/v1/audio/transcriptions", files={"file": file}, data=data)
    assert answer.headers[WARNINGS] == "wrong_file_name_or_type"


def test_a_right_name_is_no_warning(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    file = (spoken_clip.path.name, spoken_clip.path.read_bytes(), "audio/mpeg")
    answer = client.post("/v1/audio/transcriptions", files={"file": file}, data={"model": "whisper-1"})
    assert WARNINGS not in answer.headers


@pytest.mark.parametrize(
    ("extension", "options"),
    [("amr", ("-ar", "8000")), ("aiff", ()), ("caf", ()), ("au", ()), ("mpeg", ("-f", "mp3")), ("ts", ("-c:a", "aac"))],
)
def test_other_formats_are_heard(
    transcribe: Transcribe, spoken_clip: SpokenClip, tmp_path: Path, extension: str, options: tuple[str, ...]
) -> None:
    path = tmp_path / f"talk.{extension}"
    run_ffmpeg("-i", str(spoken_clip.path), "-vn", *options, str(path))
    answer = transcribe(path)
    assert answer.status_code == 200
    if extension != "amr":  # its bandwidth costs the small model words
        assert_heard(spoken_clip, answer.json()["text"])
