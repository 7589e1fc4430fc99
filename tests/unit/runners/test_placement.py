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


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="this machine has a GPU")
def test_a_missing_gpu_stops_the_start() -> None:
    with pytest.raises(InvalidSettings, match="WHISPER_DEVICE"):
        choose_placement(Settings(_env_file=None, whisper_device="cuda"))
