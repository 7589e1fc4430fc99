"""One service with the released weights, for all files of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from runners.models.catalogue import folder_of, is_complete
from tests.support.service import LocalService, connected, local_service
from tests.support.speech import Hear
from transcription.core.settings import Settings, load_settings

MODELS = ("base", "tiny.en")


def settings_with(*models: str) -> Settings:
    """The settings with which these models are on disk; the test is skipped if they are not."""
    settings = load_settings()
    missing = [name for name in models if not is_complete(folder_of(name, settings))]
    if missing:
        pytest.skip(f"WHISPER_MODEL_DIR lacks {' and '.join(missing)}: run `make test-extras`")
    return settings


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    settings = settings_with(*MODELS)
    environment = {
        "WHISPER_MODEL": "base",
        "WHISPER_MODEL_DIR": str(settings.whisper_model_dir),
        "WHISPER_LAYOUT": "throughput",  # not measured meanwhile
    }
    with local_service(environment, tmp_path_factory.mktemp("weights") / "service.log") as running:
        yield running


@pytest.fixture(scope="package")
def client(service: LocalService) -> Iterator[httpx.Client]:
    with connected(service) as http:
        yield http


@pytest.fixture(scope="package")
def hear(client: httpx.Client) -> Hear:
    """The JSON of a recording; parameters as form fields."""

    def post(path: Path, **fields: str) -> dict[str, Any]:
        response = client.post("/transcribe", files={"file": (path.name, path.read_bytes())}, data=fields)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    return post
