"""The layouts of a device: those of WHISPER_LAYOUT, the likely one, and the rule that compares them.

`auto` is the fairest layout by measurements of this machine (`tuning.py`), and until there are any, by estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runners.placement import CUDA, DeviceLayout

CPU_BATCH = 4  # larger batches gain nothing and make every request wait longer
GPU_SLOTS = 2  # one batch is prepared and copied while the other one computes
GPU_BATCH = 16
DEFAULT_THREADS = 4  # CTranslate2's default, where there are as many cores
MAX_THREADS = 8  # CTranslate2 gains little from more of them in one slot
# The part of a window's time that several threads of a slot share: the multiplications, not what lies between them.
PARALLEL_SHARE = 0.5
MARGIN = 1.05  # a layout must be this many times fairer than an earlier one; less is noise


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a layout is. lone: seconds of a window that has the device to itself. rate: windows a second, all busy.

    Comparable with speeds of the same measurement only.
    """

    lone: float
    rate: float


def fixed_layout(text: str, device: str, cores: int) -> DeviceLayout | None:
    """The layout set by WHISPER_LAYOUT; None for `auto`.

    text: auto, latency, throughput, or SLOTSxTHREADSxBATCH, validated by the settings.
    """
    if text == "auto":
        return None
    if "x" in text:
        return DeviceLayout.parse(text)
    if device == CUDA:
        return DeviceLayout(1 if text == "latency" else GPU_SLOTS, 1, GPU_BATCH)
    return DeviceLayout(1, cores, 1) if text == "latency" else DeviceLayout(cores, 1, CPU_BATCH)


def default_layout(device: str, cores: int) -> DeviceLayout:
    """faster-whisper's own default: one window at a time."""
    return DeviceLayout(1, 1 if device == CUDA else min(cores, DEFAULT_THREADS), 1)


def likely_layout(device: str, cores: int) -> DeviceLayout:
    """The layout to use without measurements: the fairest by estimates."""
    if device == CUDA:
        return DeviceLayout(GPU_SLOTS, 1, GPU_BATCH)
    return fairest({layout: estimate(layout) for layout in cpu_layouts(cores)})


def cpu_layouts(cores: int) -> tuple[DeviceLayout, ...]:
    """The layouts that may suit a CPU, those with the most slots first."""
    threads = [1 << power for power in range(cores.bit_length()) if 1 << power <= min(cores, MAX_THREADS)]
    return tuple(DeviceLayout(cores // each, each, CPU_BATCH) for each in threads)


def estimate(layout: DeviceLayout) -> Speed:
    """The speed of a layout on a CPU by Amdahl's law, relative to one thread."""
    lone = 1 - PARALLEL_SHARE + PARALLEL_SHARE / layout.threads
    return Speed(lone, layout.slots / lone)


def fairest(speeds: Mapping[DeviceLayout, Speed]) -> DeviceLayout:
    """The layout that is never far behind: neither for a lone request, nor for as many as there may be.

    It has the smallest regret, which is how many times slower it is than the best of `speeds`, where that is worst.
    speeds: at least one, in the order of preference among equals.
    """
    lone = min(speed.lone for speed in speeds.values())
    rate = max(speed.rate for speed in speeds.values())
    regrets = {layout: max(speed.lone / lone, rate / speed.rate) for layout, speed in speeds.items()}
    best = next(iter(regrets))
    for layout, regret in regrets.items():
        if regret * MARGIN < regrets[best]:
            best = layout
    return best
