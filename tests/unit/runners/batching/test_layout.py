"""Where the model runs and how the device is divided."""

from __future__ import annotations

import ctranslate2
import pytest

from runners.batching.layout import (
    DeviceLayout,
    Placement,
    available_cores,
    candidate_layouts,
    choose_placement,
    default_layout,
    fixed_layout,
)
from transcription.core.settings import InvalidSettings, Settings


@pytest.mark.parametrize(
    ("text", "device", "layout"),
    [
        ("throughput", "cpu", DeviceLayout(4, 1, 4)),
        ("latency", "cpu", DeviceLayout(1, 4, 1)),
        ("throughput", "cuda", DeviceLayout(2, 1, 16)),
        ("latency", "cuda", DeviceLayout(1, 1, 16)),
        ("2x3x8", "cpu", DeviceLayout(2, 3, 8)),
        ("auto", "cpu", None),
    ],
)
def test_a_layout_fits_the_device(text: str, device: str, layout: DeviceLayout | None) -> None:
    assert fixed_layout(text, device, cores=4) == layout


def test_a_layout_reads_as_it_is_set() -> None:
    assert fixed_layout(str(DeviceLayout(2, 3, 8)), "cpu", cores=4) == DeviceLayout(2, 3, 8)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("cores", [1, 2, 4, 64])
def test_the_first_layout_measured_is_the_default_of_faster_whisper(device: str, cores: int) -> None:
    candidates = candidate_layouts(device, cores)

    assert candidates[0] == default_layout(device, cores)
    assert len(candidates) > 1
    assert len(set(candidates)) == len(candidates)
    assert all(layout.slots * layout.threads <= max(cores, 2) for layout in candidates)


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
