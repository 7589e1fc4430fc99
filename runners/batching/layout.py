"""How the device is divided, decided once at start from the settings and the machine. `tuning.py` measures `auto`."""

from __future__ import annotations

from runners.placement import CUDA, DeviceLayout

CPU_BATCH = 4  # larger batches gain nothing and make every request wait longer
GPU_SLOTS = 2  # one batch is prepared and copied while the other one computes
GPU_BATCH = 16
DEFAULT_THREADS = 4  # CTranslate2's default, where there are as many cores


def fixed_layout(text: str, device: str, cores: int) -> DeviceLayout | None:
    """The layout that WHISPER_LAYOUT asks for, or None for `auto`, which is measured.

    text: auto, latency, throughput, or SLOTSxTHREADSxBATCH, validated by the settings.
    """
    if text == "auto":
        return None
    if "x" in text:
        slots, threads, batch = (int(part) for part in text.split("x"))
        return DeviceLayout(slots, threads, batch)
    if device == CUDA:
        return DeviceLayout(1 if text == "latency" else GPU_SLOTS, 1, GPU_BATCH)
    return DeviceLayout(1, cores, 1) if text == "latency" else DeviceLayout(cores, 1, CPU_BATCH)


def default_layout(device: str, cores: int) -> DeviceLayout:
    """faster-whisper's own default: one window at a time."""
    return DeviceLayout(1, 1 if device == CUDA else min(cores, DEFAULT_THREADS), 1)


def likely_layout(device: str, cores: int) -> DeviceLayout:
    """The best guess where nothing can be measured: on a CPU, one-threaded slots with a window each."""
    return DeviceLayout(GPU_SLOTS, 1, GPU_BATCH) if device == CUDA else DeviceLayout(cores, 1, 1)


def candidate_layouts(device: str, cores: int) -> tuple[DeviceLayout, ...]:
    """The layouts that `auto` measures, the most important first: faster-whisper's default, then the likely ones."""
    if device == CUDA:
        rest = [likely_layout(device, cores), DeviceLayout(1, 1, GPU_BATCH), DeviceLayout(1, 1, 2 * GPU_BATCH)]
    else:
        rest = [likely_layout(device, cores), DeviceLayout(cores, 1, CPU_BATCH)]
        # More cores than memory can feed: fewer slots read the weights fewer times.
        rest += [DeviceLayout(cores // threads, threads, 1) for threads in (2, 4) if cores >= 2 * threads]
    return tuple(dict.fromkeys((default_layout(device, cores), *rest)))
