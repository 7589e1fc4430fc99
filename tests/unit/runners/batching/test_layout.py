"""Where the model runs and how the device is divided."""

from __future__ import annotations

import pytest

from runners.batching.layout import candidate_layouts, default_layout, fixed_layout
from runners.placement import DeviceLayout


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
