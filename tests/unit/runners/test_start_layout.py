"""The layout that a process starts with, without measuring anything."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runners.placement import DeviceLayout, Placement
from runners.start_layout import Start, choose_start, layout_store
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.settings import Settings

CPU, GPU = Placement("cpu", "int8"), Placement("cuda", "float16")
MEASURED = DeviceLayout(1, 8, 4)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree(EMBEDDED_MODEL_DIR / "demo", tmp_path / "models" / "own")
    return Settings(
        _env_file=None, whisper_model="own", whisper_model_dir=tmp_path / "models", cache_dir=tmp_path / "cache"
    )


def start(settings: Settings, placement: Placement = CPU, cores: int = 8, **changes: str) -> Start:
    return choose_start(settings.model_copy(update=changes), placement, cores)


def test_without_a_measurement_it_is_the_likely_one_and_a_measurement_is_due(settings: Settings) -> None:
    chosen = start(settings)

    assert chosen.choice.layout == DeviceLayout(4, 2, 4)
    assert chosen.unmeasured


def test_a_kept_measurement_is_used_and_none_is_due(settings: Settings) -> None:
    layout_store(settings).save(start(settings).unmeasured, MEASURED, {})

    assert start(settings) == Start(start(settings).choice)
    assert start(settings).choice.layout == MEASURED


def test_a_changed_model_or_machine_is_measured_again(settings: Settings) -> None:
    layout_store(settings).save(start(settings).unmeasured, MEASURED, {})
    assert start(settings, cores=6).unmeasured

    (settings.whisper_model_dir / "own" / "model.bin").write_bytes(b"other weights")
    assert start(settings).unmeasured
    assert start(settings).choice.layout != MEASURED


def test_a_layout_that_is_set_is_not_measured(settings: Settings) -> None:
    assert start(settings, whisper_layout="latency").choice.layout == DeviceLayout(1, 8, 1)
    assert not start(settings, whisper_layout="latency").unmeasured


@pytest.mark.parametrize(
    ("model", "placement", "cores"),
    [("demo", CPU, 8), ("own", GPU, 8), ("own", CPU, 1), ("none", CPU, 8)],
    ids=["embedded", "GPU", "one core", "missing model"],
)
def test_where_a_measurement_tells_nothing_none_is_due(
    settings: Settings, model: str, placement: Placement, cores: int
) -> None:
    chosen = start(settings, placement, cores, whisper_model=model)

    assert chosen.choice.reason.startswith(("likely", "the only one"))
    assert not chosen.unmeasured
