"""The released weights, where they are on disk, and a service with them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from runners.models.catalogue import folder_of, is_complete
from tests.support.service import LocalService, local_service
from transcription.core.settings import Settings, load_settings


def settings_with(*models: str) -> Settings:
    """The settings with which these models are on disk; the test is skipped if they are not."""
    settings = load_settings()
    missing = [name for name in models if not is_complete(folder_of(name, settings))]
    if missing:
        pytest.skip(f"WHISPER_MODEL_DIR lacks {' and '.join(missing)}: run `make test-extras`")
    return settings


def service_with(folder: Path, *models: str) -> AbstractContextManager[LocalService]:
    """A service whose default is the first of these models; the test is skipped if one is not on disk."""
    environment = {
        "WHISPER_MODEL": models[0],
        "WHISPER_MODEL_DIR": str(settings_with(*models).whisper_model_dir),
        "WHISPER_LAYOUT": "throughput",  # not measured meanwhile
    }
    return local_service(environment, folder / "service.log")
