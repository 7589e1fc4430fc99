"""How the device is divided, and which division is the likely one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.batching.layout import Speed, cpu_layouts, default_layout, estimate, fairest, fixed_layout, likely_layout
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


def test_the_default_of_faster_whisper_is_one_window_at_a_time() -> None:
    assert default_layout("cpu", 2) == DeviceLayout(1, 2, 1)
    assert default_layout("cpu", 64) == DeviceLayout(1, 4, 1)
    assert default_layout("cuda", 64) == DeviceLayout(1, 1, 1)


@pytest.mark.parametrize(("cores", "layout"), [(1, "1x1x4"), (2, "2x1x4"), (4, "2x2x4"), (8, "4x2x4"), (64, "32x2x4")])
def test_a_lone_request_has_more_than_one_thread_where_there_are_many_cores(cores: int, layout: str) -> None:
    assert str(likely_layout("cpu", cores)) == layout


def test_the_likely_layout_of_a_gpu_has_one_batch_in_preparation() -> None:
    assert likely_layout("cuda", 8) == DeviceLayout(2, 1, 16)


@given(st.integers(1, 512))
def test_the_layouts_of_a_cpu_use_its_cores_and_no_more(cores: int) -> None:
    layouts = cpu_layouts(cores)

    assert layouts[0] == DeviceLayout(cores, 1, layouts[0].batch)
    assert len(set(layouts)) == len(layouts)
    assert all(cores / 2 < layout.slots * layout.threads <= cores for layout in layouts)
    assert likely_layout("cpu", cores) in layouts


@given(st.sampled_from(cpu_layouts(64)), st.sampled_from(cpu_layouts(64)))
def test_more_threads_are_expected_to_help_a_lone_window_and_to_cost_throughput(
    one: DeviceLayout, other: DeviceLayout
) -> None:
    if one.threads < other.threads:
        assert estimate(one).lone > estimate(other).lone
        assert estimate(one).rate > estimate(other).rate


def test_the_fairest_layout_has_the_smallest_worst_regret() -> None:
    narrow, middle, wide = DeviceLayout(8, 1, 4), DeviceLayout(4, 2, 4), DeviceLayout(1, 8, 4)
    speeds = {narrow: Speed(8.0, 8.0), middle: Speed(4.0, 6.0), wide: Speed(2.0, 2.0)}

    assert fairest(speeds) == middle
    assert fairest({narrow: speeds[narrow], wide: speeds[wide]}) == narrow  # equal: the first one
