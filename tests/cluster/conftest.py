"""One real cluster for the whole session: two API replicas, two Celery workers, a Redis that writes everything down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.api_keys import KEY, entry
from tests.support.cluster import Cluster, local_cluster
from tests.support.recordings import Recordings
from tests.support.service import ROOT

PATIENCE = 180.0  # seconds


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def keys_file(folder: Path) -> Path:
    """API_KEYS_FILE of both replicas."""
    path = folder / "keys.toml"
    path.write_text(entry("first", KEY))
    return path


@pytest.fixture(scope="session")
def cluster(folder: Path, keys_file: Path) -> Iterator[Cluster]:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is needed: make tools")
    environment = {
        "WHISPER_MODEL": "demo",
        "WHISPER_MODEL_DIR": str(folder / "models"),
        "WHISPER_LAYOUT": "1x1x4",
        "JOB_CONCURRENCY": "4",
        "WATCHDOG_TIMEOUT": "15",  # a healthy worker on a busy machine answers by then
        "ENABLE_API_KEY": "true",
        "API_KEYS_FILE": str(keys_file),
        "WEBHOOK_SECRET": "s" * 32,
        "WEBHOOK_ALLOW": "127.0.0.1",
    }
    with local_cluster(folder, environment, apis=2, workers=2) as running:
        yield running


@pytest.fixture(scope="session")
def replicas(cluster: Cluster) -> Iterator[list[httpx.Client]]:
    """A client of each API replica."""
    headers = {"X-API-Key": KEY}
    clients = [httpx.Client(base_url=url, timeout=PATIENCE, headers=headers) for url in cluster.urls]
    yield clients
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """Makes recordings with the real ffmpeg, of a few seconds of English."""
    return Recordings(ROOT / "samples" / "en-meeting.mp3", tmp_path_factory.mktemp("recordings"))
