"""One real service for the whole session, and recordings to send to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.support.clips import SpokenClip, Transcribe, shortest_clips
from tests.support.conversation import short_conversation
from tests.support.leftovers import leftovers
from tests.support.recordings import MAX_DURATION, MAX_FILE_SIZE, Recordings
from tests.support.service import LocalService, free_port, local_service
from tests.support.waiting import wait_until


@pytest.fixture(scope="session")
def temp_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="session")
def wyoming_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def service(temp_dir: Path, wyoming_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """The real service with the embedded model, started once."""
    environment = {
        "WHISPER_MODEL": "demo",
        "WHISPER_MODEL_DIR": str(tmp_path_factory.mktemp("models")),
        "TEMP_DIR": str(temp_dir),
        "WYOMING_PORT": str(wyoming_port),
        "CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "MAX_FILE_SIZE": str(MAX_FILE_SIZE),
        "MAX_DURATION": str(MAX_DURATION),
        "ENABLE_CACHE": "false",  # the same few recordings are sent again and again, to be worked on
        "LOG_LEVEL": "INFO",
    }
    with local_service(environment, tmp_path_factory.mktemp("log") / "service.log", measured=True) as running:
        yield running


@pytest.fixture(scope="session")
def official(service: LocalService) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, its answers strictly validated."""
    with openai.OpenAI(
        base_url=f"{service.url}/v1", api_key="unused", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture(scope="session")
def client(service: LocalService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60) as http:
        yield http


@pytest.fixture(scope="session")
def transcribe(client: httpx.Client) -> Transcribe:
    """POST one file to /transcribe, parameters as form fields."""

    def post(path: Path, *, name: str = "", content_type: str = "", **fields: str) -> httpx.Response:
        part = (name or path.name, path.read_bytes(), content_type or None)
        return client.post("/transcribe", files={"file": part}, data=fields)

    return post


@pytest.fixture(scope="session")
def spoken_clips() -> dict[str, SpokenClip]:
    """The recordings in samples/, by language; the shortest of each."""
    return shortest_clips()


@pytest.fixture(scope="session")
def spoken_clip(spoken_clips: dict[str, SpokenClip]) -> SpokenClip:
    """A few seconds of English."""
    return spoken_clips["en"]


@pytest.fixture(scope="session")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s of two people, each of whom speaks twice."""
    return short_conversation(tmp_path_factory.mktemp("conversation"))


@pytest.fixture(scope="session")
def recordings(spoken_clip: SpokenClip, tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """Makes recordings with the real ffmpeg."""
    return Recordings(spoken_clip.path, tmp_path_factory.mktemp("recordings"))


@pytest.fixture(autouse=True)
def nothing_is_left(service: LocalService, temp_dir: Path) -> Iterator[None]:
    """After every test TEMP_DIR is empty and no decoder runs."""
    yield
    assert wait_until(lambda: not leftovers(service, temp_dir)), leftovers(service, temp_dir)
