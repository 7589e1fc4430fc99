"""Models that are on the disks of other machines, and models that other runners serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from runners.models.catalogue import check_allowed, check_served, list_allowed
from transcription.core.errors import ModelUnavailable, UnknownModel
from transcription.core.settings import Settings


def settings(folder: Path, **given: str) -> Settings:
    return Settings(_env_file=None, whisper_model_dir=folder, **given)


def test_with_a_pool_the_settings_name_the_models_that_requests_may_name(tmp_path):
    pooled = settings(tmp_path, runner_url="http://runner:3000", whisper_model="ours", allowed_models="ours,tiny")

    for name in ("ours", "tiny"):
        check_allowed(name, pooled)
    assert [model.name for model in list_allowed(pooled)] == ["tiny", "ours"]
    with pytest.raises(UnknownModel):
        check_allowed("ours", settings(tmp_path))


def test_a_runner_refuses_the_models_of_other_runners(tmp_path):
    check_served("large", settings(tmp_path, models="base,large-v3"))
    check_served("tiny", settings(tmp_path))
    with pytest.raises(ModelUnavailable, match="MODELS"):
        check_served("tiny", settings(tmp_path, models="base"))
