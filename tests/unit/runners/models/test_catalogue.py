"""Names of models, the folders they stand for, and what is in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.models.catalogue import (
    CATALOGUE,
    NAME,
    check_allowed,
    check_known,
    download,
    folder_of,
    list_allowed,
    list_models,
    resolve,
)
from scripts import download_models
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.errors import ModelNotAllowed, ModelUnavailable, UnknownModel
from transcription.core.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, whisper_model_dir=tmp_path / "models", whisper_model="demo")


@pytest.fixture
def unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9"
    )  # the discard port: no server listens


def a_model_folder(settings: Settings, name: str) -> Path:
    folder = settings.whisper_model_dir / name
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    return folder


def test_the_embedded_model_comes_with_the_code(settings: Settings) -> None:
    assert resolve("demo", settings) == EMBEDDED_MODEL_DIR / "demo"


def test_no_folder_can_replace_the_embedded_model(settings: Settings) -> None:
    a_model_folder(settings, "demo")

    assert resolve("demo", settings) == EMBEDDED_MODEL_DIR / "demo"


def test_a_model_on_disk_is_taken_from_its_folder(settings: Settings) -> None:
    folder = a_model_folder(settings, "base")

    assert resolve("base", settings) == folder


def test_any_folder_with_a_model_is_a_model(settings: Settings) -> None:
    folder = a_model_folder(settings, "our-radio_v2.1")

    assert resolve("our-radio_v2.1", settings) == folder


@pytest.mark.parametrize(("alias", "name"), [("large", "large-v3"), ("turbo", "large-v3-turbo")])
def test_two_names_of_a_model_share_a_folder(settings: Settings, alias: str, name: str) -> None:
    assert folder_of(alias, settings) == folder_of(name, settings)


@pytest.mark.parametrize("name", ["", ".", "..", "../base", "/etc", "a/b", "a\\b", ".hidden", "base\n", "x" * 65, "é"])
def test_a_path_is_not_a_name(settings: Settings, name: str) -> None:
    with pytest.raises(UnknownModel, match="not the name of a model"):
        resolve(name, settings)


@given(st.text(max_size=80))
def test_no_name_leads_out_of_the_model_folder(name: str) -> None:
    settings = Settings(_env_file=None, whisper_model_dir=Path("/srv/models"))
    try:
        folder = folder_of(name, settings)
    except UnknownModel:
        return
    assert NAME.fullmatch(name)
    assert folder.resolve().parent in (Path("/srv/models"), EMBEDDED_MODEL_DIR)


def test_a_link_out_of_the_model_folder_is_refused(settings: Settings, tmp_path: Path) -> None:
    outside = a_model_folder(settings.model_copy(update={"whisper_model_dir": tmp_path / "elsewhere"}), "secret")
    settings.whisper_model_dir.mkdir()
    (settings.whisper_model_dir / "link").symlink_to(outside)

    with pytest.raises(UnknownModel, match="leaves WHISPER_MODEL_DIR"):
        resolve("link", settings)
    assert "link" not in [model.name for model in list_models(settings)]


def test_an_unknown_name_is_refused_without_asking_the_hub(settings: Settings) -> None:
    with pytest.raises(UnknownModel, match="GET /models"):
        check_known("basse", settings)


@pytest.mark.usefixtures("unreachable_hub")
def test_the_error_of_a_missing_model_names_both_remedies(settings: Settings) -> None:
    with pytest.raises(ModelUnavailable) as failure:
        resolve("base", settings)

    message = failure.value.message
    assert "'base'" in message and "WHISPER_MODEL_DIR" in message
    assert str(settings.whisper_model_dir) not in message
    assert "scripts.download_models --model base" in message and "WHISPER_MODEL=demo" in message


@pytest.mark.usefixtures("unreachable_hub")
def test_a_failed_download_leaves_nothing_behind(settings: Settings) -> None:
    with pytest.raises(ModelUnavailable):
        download("tiny", settings.whisper_model_dir)

    assert list(settings.whisper_model_dir.iterdir()) == []


def test_a_model_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ModelUnavailable, match="Cannot write to WHISPER_MODEL_DIR"):
        download("tiny", tmp_path / "file" / "models")


def test_every_model_is_listed_with_its_state(settings: Settings) -> None:
    a_model_folder(settings, "base")
    a_model_folder(settings, "ours")
    (settings.whisper_model_dir / "half").mkdir()

    models = {model.name: model for model in list_models(settings)}

    assert set(models) == {*CATALOGUE, "ours"}
    assert models["base"].on_disk and models["ours"].on_disk and models["demo"].on_disk
    assert not models["tiny"].on_disk


@pytest.mark.usefixtures("unreachable_hub")
def test_the_download_script_says_what_failed_and_returns_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert download_models.main(["--model", "tiny", "--model", "nope", "--output", str(tmp_path)]) == 1

    errors = capsys.readouterr().err
    assert "'tiny'" in errors and "'nope'" in errors


def test_the_download_script_accepts_models_already_on_disk(capsys: pytest.CaptureFixture[str]) -> None:
    assert download_models.main(["--if-missing", "--model", "demo"]) == 0
    assert capsys.readouterr().err == ""


def allowed(settings: Settings) -> set[str]:
    return {model.name for model in list_allowed(settings)}


def with_models(settings: Settings, value: str, default: str = "demo") -> Settings:
    return settings.model_copy(update={"allowed_models": value, "whisper_model": default})


def test_requests_may_name_what_is_on_disk_and_the_default_model(settings: Settings) -> None:
    a_model_folder(settings, "ours")
    a_model_folder(settings, "large-v3")
    assert allowed(settings) == {"demo", "ours", "large-v3", "large"}
    assert allowed(with_models(settings, "", default="base")) == {"demo", "ours", "large-v3", "large", "base"}


def test_a_list_allows_its_models_and_the_default_one_only(settings: Settings) -> None:
    a_model_folder(settings, "ours")
    assert allowed(with_models(settings, "tiny, turbo")) == {"demo", "tiny", "turbo", "large-v3-turbo"}


def test_a_star_allows_every_known_model(settings: Settings) -> None:
    a_model_folder(settings, "ours")
    assert allowed(with_models(settings, "*")) == {*CATALOGUE, "ours"}


def test_every_listed_model_may_be_named_and_no_other(settings: Settings) -> None:
    for name in CATALOGUE:
        if name in allowed(settings):
            check_allowed(name, settings)
        else:
            with pytest.raises(ModelNotAllowed, match="ALLOWED_MODELS"):
                check_allowed(name, settings)


def test_an_unknown_model_is_unknown_whatever_is_allowed(settings: Settings) -> None:
    with pytest.raises(UnknownModel):
        check_allowed("hugo", with_models(settings, "*"))


def test_no_error_about_a_model_tells_where_models_are(settings: Settings) -> None:
    with pytest.raises(UnknownModel) as error:
        check_known("hugo", settings)
    assert str(settings.whisper_model_dir) not in f"{error.value.message} {error.value.detail}"
