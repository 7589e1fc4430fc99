"""The folder models/ can be used as WHISPER_MODEL_DIR: the training code in it is not a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from runners.models.catalogue import CATALOGUE, check_known, list_models
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.errors import UnknownModel
from transcription.core.settings import Settings

SETTINGS = Settings(whisper_model_dir=EMBEDDED_MODEL_DIR)


def test_the_training_code_is_not_listed_as_a_model() -> None:
    assert Path(EMBEDDED_MODEL_DIR, "training").is_dir()
    assert {model.name for model in list_models(SETTINGS)} == set(CATALOGUE)


def test_the_training_code_cannot_be_requested_as_a_model() -> None:
    with pytest.raises(UnknownModel):
        check_known("training", SETTINGS)
