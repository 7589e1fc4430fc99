"""A file that breaks off has a transcript and a warning; a decoder that is killed has neither."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.answers import assert_error
from tests.support.clips import Transcribe
from tests.support.recordings import MAX_DURATION, Recordings
from tests.support.service import UNSHARED, LocalService

HEADER = "x-transcription-warnings"


@pytest.fixture(scope="module")
def cut_file(recordings: Recordings) -> Path:
    """A flac file of which half is missing."""
    content = recordings.talk("whole.flac", 20).read_bytes()
    return recordings.bytes_of("cut.flac", content[: len(content) // 2])


def kill_decoder(service: LocalService) -> None:
    """Kill the next ffmpeg of the service as soon as it runs."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process(service.process.pid).children(recursive=True):
            try:
                if "ffmpeg" in child.name():
                    child.kill()
                    return
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.01)
    raise TimeoutError("no decoder was started")


@pytest.mark.parametrize("response_format", ["json", "verbose_json"])
def test_a_file_that_breaks_off_has_a_transcript_with_a_warning(
    transcribe: Transcribe, cut_file: Path, response_format: str
) -> None:
    answer = transcribe(cut_file, response_format=response_format)
    heard = answer.json()
    assert answer.status_code == 200
    assert heard["text"]
    assert 5 < heard["duration"] < 15
    [warning] = [each for each in heard["warnings"] if each["code"] == "truncated_media"]
    assert (warning["start"], warning["end"]) == (heard["duration"], pytest.approx(20, abs=0.5))


@pytest.mark.parametrize("response_format", ["json", "verbose_json", "text", "srt", "vtt", "tsv", "lrc"])
def test_every_format_of_a_file_that_breaks_off_has_the_header(
    transcribe: Transcribe, cut_file: Path, response_format: str
) -> None:
    assert transcribe(cut_file, response_format=response_format).headers[HEADER] == "truncated_media"


@pytest.mark.parametrize(
    ("path", "field", "fields"),
    [
        ("/v1/audio/transcriptions", "file", {"model": "whisper-1"}),
        ("/v1/audio/transcriptions", "file", {"model": "whisper-1", "response_format": "verbose_json"}),
        ("/asr?output=json", "audio_file", {}),
    ],
)
def test_the_warning_is_on_every_path(
    client: httpx.Client, cut_file: Path, path: str, field: str, fields: dict[str, str]
) -> None:
    answer = client.post(path, files={field: (cut_file.name, cut_file.read_bytes())}, data=fields)
    assert [each["code"] for each in answer.json()["warnings"]] == ["truncated_media"]
    assert answer.headers[HEADER] == "truncated_media"


def test_a_complete_file_has_no_warning(transcribe: Transcribe, recordings: Recordings) -> None:
    answer = transcribe(recordings.talk("whole.flac", 20))
    assert "warnings" not in answer.json()
    assert HEADER not in answer.headers


def test_a_job_shows_the_warning_beside_its_result(client: httpx.Client, cut_file: Path) -> None:
    accepted = client.post(
        "/transcribe", files={"file": (cut_file.name, cut_file.read_bytes())}, data={"async": "true"}
    )
    status = accepted.json()
    deadline = time.monotonic() + 60
    while status["status"] != "completed" and time.monotonic() < deadline:
        time.sleep(0.1)
        status = client.get(accepted.headers["location"]).json()
    assert [each["code"] for each in status["warnings"]] == ["truncated_media"]
    assert status["result"]["warnings"] == status["warnings"]
    result = client.get(f"/jobs/{status['job_id']}/result", params={"response_format": "srt"})
    assert result.headers[HEADER] == "truncated_media"


def test_a_killed_decoder_is_a_503_and_never_half_a_transcript(service: LocalService, recordings: Recordings) -> None:
    recording = recordings.talk("long.mp3", MAX_DURATION - 1)
    with ThreadPoolExecutor(1) as killer, recording.open("rb") as file:
        killed = killer.submit(kill_decoder, service)
        answer = httpx.post(
            f"{service.url}/transcribe",
            files={"file": file},
            data={"language": "en"},
            headers=UNSHARED,
            timeout=120,
        )
        killed.result()
    assert_error(answer, 503, "service_unavailable")
    assert int(answer.headers["retry-after"]) > 0
