"""Where a model runs."""

from __future__ import annotations

import ctranslate2
import pytest

from runners.placement import Placement, available_cores, choose_placement
from transcription.core.settings import InvalidSettings, Settings


def test_there_is_always_a_core() -> None:
    assert available_cores() >= 1


def test_a_cpu_computes_in_int8_unless_told_otherwise() -> None:
    assert choose_placement(Settings(_env_file=None, whisper_device="cpu")) == Placement("cpu", "int8")


def test_a_number_format_that_the_device_lacks_stops_the_start() -> None:
    settings = Settings(_env_file=None, whisper_device="cpu", whisper_compute_type="int8_float16")

    with pytest.raises(InvalidSettings, match="WHISPER_COMPUTE_TYPE"):
        choose_placement(settings)


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 4)


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("asked", "numbers"),
    [("auto", (0,)), ("cuda", (0,)), ("cuda:2", (2,)), ("cuda:0,3", (0, 3)), ("cuda:all", (0, 1, 2, 3))],
)
def test_a_model_runs_on_the_gpus_that_are_named(asked: str, numbers: tuple[int, ...]) -> None:
    placement = choose_placement(Settings(_env_file=None, whisper_device=asked))

    assert placement == Placement("cuda", "float16", numbers)


@pytest.mark.usefixtures("four_gpus")
def test_a_gpu_that_is_not_there_stops_the_start() -> None:
    with pytest.raises(InvalidSettings, match="4 CUDA devices are visible, numbered from 0"):
        choose_placement(Settings(_env_file=None, whisper_device="cuda:0,4"))


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="this machine has a GPU")
def test_a_missing_gpu_stops_the_start() -> None:
    with pytest.raises(InvalidSettings, match="WHISPER_DEVICE"):
        choose_placement(Settings(_env_file=None, whisper_device="cuda"))
