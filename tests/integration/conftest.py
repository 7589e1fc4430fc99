"""One real service for the whole session, and recordings to send to it."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from tests.support.recordings import Recordings
from tests.support.service import ROOT, LocalService, local_service

MAX_FILE_SIZE = 2_000_000  # bytes, small so that too large is quick to send
MAX_DURATION = 600  # seconds
SETTLE_SECONDS = 5.0  # what a cancelled request may need to clean up

Transcribe = Callable[..., httpx.Response]


@dataclass(frozen=True, slots=True)
class SpokenClip:
    """A recording in samples/ and what is said in it."""

    path: Path
    language: str
    text: str


@pytest.fixture(scope="session")
def temp_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="session")
def service(temp_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """The real service with the embedded model, started once."""
    environment = {
        "WHISPER_MODEL": "demo",
        "WHISPER_MODEL_DIR": str(tmp_path_factory.mktemp("models")),
        "TEMP_DIR": str(temp_dir),
        "CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "MAX_FILE_SIZE": str(MAX_FILE_SIZE),
        "MAX_DURATION": str(MAX_DURATION),
        "ENABLE_CACHE": "false",  # the same few recordings are sent again and again, to be worked on
        "LOG_LEVEL": "INFO",
    }
    with local_service(environment, tmp_path_factory.mktemp("log") / "service.log") as running:
        yield running


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
    samples = ROOT / "samples"
    with (samples / "transcripts.tsv").open(newline="", encoding="utf-8") as table:
        rows = sorted(csv.DictReader(table, delimiter="\t"), key=lambda row: -len(row["text"]))
    return {row["language"]: SpokenClip(samples / row["file"], row["language"], row["text"]) for row in rows}


@pytest.fixture(scope="session")
def spoken_clip(spoken_clips: dict[str, SpokenClip]) -> SpokenClip:
    """A few seconds of English."""
    return spoken_clips["en"]


@pytest.fixture(scope="session")
def recordings(spoken_clip: SpokenClip, tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """Makes recordings with the real ffmpeg."""
    return Recordings(spoken_clip.path, tmp_path_factory.mktemp("recordings"))


@pytest.fixture(autouse=True)
def nothing_is_left(service: LocalService, temp_dir: Path) -> Iterator[None]:
    """After every test TEMP_DIR is empty and no decoder runs."""
    yield
    deadline = time.monotonic() + SETTLE_SECONDS
    while (left := leftovers(service, temp_dir)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def leftovers(service: LocalService, temp_dir: Path) -> list[str]:
    """Files in TEMP_DIR and decoder or probe processes of the service."""
    files = [str(path) for path in temp_dir.iterdir()]
    return files + media_processes(service)


def media_processes(service: LocalService) -> list[str]:
    """Names of the service's media children: those of its launchers."""
    found = []
    for process in psutil.Process(service.process.pid).children(recursive=True):
        try:
            if "transcription.media.sandbox.launcher" in process.cmdline():
                found += [child.name() for child in process.children()]
        except psutil.NoSuchProcess:
            continue
    return found
