"""Names of models that clients send, and the models that they mean."""

import pytest

from transcription.api.openai.models import resolve, resolve_deployment
from transcription.core.errors import ModelNotAllowed, UnknownModel
from transcription.core.settings import Settings

DEFAULT = "demo"
ON_DISK = ("tiny", "small.en", "large-v3", "large-v3-turbo", "distil-large-v3", "custom-model")


@pytest.fixture
def settings(tmp_path):
    for name in ON_DISK:
        (tmp_path / name).mkdir()
        for file in ("model.bin", "config.json"):
            (tmp_path / name / file).touch()
    return Settings(whisper_model=DEFAULT, whisper_model_dir=tmp_path)


@pytest.mark.parametrize("name", [*ON_DISK, DEFAULT, " tiny "])
def test_a_model_of_this_service_means_itself(settings, name):
    assert resolve(name, settings) == name.strip()


@pytest.mark.parametrize(
    "name",
    [
        "whisper-1",
        "whisper",
        "Whisper",
        "whisper-001",
        "gpt-transcribe",
        "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe",
        "gpt-4o-mini-transcribe-2025-12-15",
        "gpt-4o-transcribe-diarize",
        "gpt-transcribe-2026-06-01",
        "gpt-live-transcribe",
        "gpt-realtime-whisper",
        "whisper-1-2023-03-01",
        "openai/whisper-1",
        "openai/gpt-4o-transcribe",
        "azure/whisper",
        "@cf/openai/whisper",
    ],
)
def test_openais_names_mean_the_default_model(settings, name):
    assert resolve(name, settings) == DEFAULT


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("openai/whisper-large-v3", "large-v3"),
        ("openai/whisper-tiny", "tiny"),
        ("Systran/faster-whisper-small.en", "small.en"),
        ("Systran/faster-whisper-large-v3", "large-v3"),
        ("Systran/faster-distil-whisper-large-v3", "distil-large-v3"),
        ("systran/faster-distil-whisper-large-v3", "distil-large-v3"),
        ("distil-whisper/distil-large-v3-ct2", "distil-large-v3"),
        ("mobiuslabsgmbh/faster-whisper-large-v3-turbo", "large-v3-turbo"),
        ("deepdml/faster-whisper-large-v3-turbo-ct2", "large-v3-turbo"),
        ("whisper-large-v3", "large-v3"),
        ("whisper-large-v3-turbo", "large-v3-turbo"),
        ("groq/whisper-large-v3-turbo", "large-v3-turbo"),
        ("distil-whisper-large-v3-en", "distil-large-v3"),
        ("accounts/fireworks/models/whisper-v3-turbo", "large-v3-turbo"),
        ("whisper-v3", "large-v3"),
        ("@cf/openai/whisper-large-v3-turbo", "large-v3-turbo"),
        ("@cf/openai/whisper-small-en", "small.en"),
        ("mlx-community/whisper-large-v3-turbo-q4", "large-v3-turbo"),
        ("openai_whisper-large-v3-v20240930_turbo", "large-v3-turbo"),
        ("openai/whisper-large", "large"),
        ("Systran/large-v3", "large-v3"),
    ],
)
def test_a_name_of_a_vendor_means_the_same_model_if_it_is_on_disk(settings, name, model):
    assert resolve(name, settings) == model


@pytest.mark.parametrize(
    "name",
    ["openai/whisper-medium", "Systran/faster-whisper-base.en", "whisper-large-v2", "distil-whisper/distil-large-v3.5"],
)
def test_whisper_in_another_size_means_the_default_model(settings, name):
    assert resolve(name, settings) == DEFAULT


@pytest.mark.parametrize(
    "name",
    [
        "gpt-17",
        "gpt-4o",
        "nova-3",
        "openai/gpt-4o",
        "openai/hugo",
        "openai/custom-model",
        "my-whisper-finetune",
        "whisper-hugo",
        "../../etc/passwd",
        "/whisper/../x",
        "",
        "/",
        "x" * 10_000,
        "-" * 10_000,
        "whisper-" * 10_000 + "!",
    ],
)
def test_any_other_name_is_unknown(settings, name):
    with pytest.raises(UnknownModel, match="GET /v1/models") as caught:
        resolve(name, settings)
    assert caught.value.parameter == "model"
    assert len(caught.value.message) < 200


def test_a_model_that_requests_may_not_name_is_refused_and_under_a_vendors_name_the_default(settings):
    with pytest.raises(ModelNotAllowed, match="GET /v1/models") as caught:
        resolve("medium", settings)
    assert caught.value.parameter == "model"
    allowing = settings.model_copy(update={"allowed_models": "medium"})
    assert resolve("medium", allowing) == resolve("openai/whisper-medium", allowing) == "medium"
    assert resolve("openai/whisper-tiny", allowing) == DEFAULT  # on disk, but not allowed


@pytest.mark.parametrize(
    ("deployment", "model"),
    [
        ("tiny", "tiny"),
        ("whisper-large-v3", "large-v3"),
        ("our-speech", DEFAULT),
        ("gpt-17", DEFAULT),
        ("medium", DEFAULT),
    ],
)
def test_a_deployment_means_the_model_of_its_name_or_the_default_model(settings, deployment, model):
    assert resolve_deployment(deployment, settings) == model
