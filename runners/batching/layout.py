"""Where the model runs and how the device is divided, decided once at start from the settings and the machine.

`auto` is measured in `tuning.py`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import ctranslate2

from transcription.core.settings import InvalidSettings, Settings

CPU, CUDA = "cpu", "cuda"
AUTO_COMPUTE_TYPE = {CPU: "int8", CUDA: "float16"}
CPU_BATCH = 4  # larger batches gain nothing and make every request wait longer
GPU_SLOTS = 2  # one batch is prepared and copied while the other one computes
GPU_BATCH = 16
DEFAULT_THREADS = 4  # CTranslate2's default, where there are as many cores
CGROUP_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Placement:
    """device: "cpu" or "cuda". compute_type: CTranslate2's name of the number format."""

    device: str
    compute_type: str


@dataclass(frozen=True, slots=True)
class DeviceLayout:
    """slots: batches that run at once. threads: CPU threads per slot. batch: windows per call, at most."""

    slots: int
    threads: int
    batch: int

    def __str__(self) -> str:
        """As WHISPER_LAYOUT takes it."""
        return f"{self.slots}x{self.threads}x{self.batch}"


def choose_placement(settings: Settings) -> Placement:
    """Device and number format, `auto` resolved.

    Raises InvalidSettings, naming the variable, when this machine does not support them.
    """
    gpus = ctranslate2.get_cuda_device_count()
    device: str = settings.whisper_device
    if device == "auto":
        device = CUDA if gpus else CPU
    if device == CUDA and not gpus:
        raise InvalidSettings("Invalid settings:\n  WHISPER_DEVICE='cuda': no CUDA device is visible. Use cpu or auto.")
    compute_type = settings.whisper_compute_type
    if compute_type == "auto":
        return Placement(device, AUTO_COMPUTE_TYPE[device])
    supported = ctranslate2.get_supported_compute_types(device)
    if compute_type not in supported:
        raise InvalidSettings(
            f"Invalid settings:\n  WHISPER_COMPUTE_TYPE={compute_type!r}: not supported on this {device} "
            f"(WHISPER_DEVICE={settings.whisper_device}). Use auto, or one of: {', '.join(sorted(supported))}."
        )
    return Placement(device, compute_type)


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


def available_cores() -> int:
    """CPU cores this process may use, a container's limit included, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_CPU_LIMIT.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
