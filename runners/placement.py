"""The placement of a model: the device, the number format, and the share of the device that each slot gets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import ctranslate2

from transcription.core.settings import InvalidSettings, Settings

CPU, CUDA = "cpu", "cuda"
AUTO_COMPUTE_TYPE = {CPU: "int8", CUDA: "float16"}
CGROUP_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Placement:
    """Devices of one kind and a number format.

    device: "cpu" or "cuda". compute_type: CTranslate2's name of the format. numbers: of the GPUs, as CUDA counts them;
    (0,) for a CPU.
    """

    device: str
    compute_type: str
    numbers: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class DeviceLayout:
    """A layout. slots: batches that run at once. threads: CPU threads per slot. batch: windows per call, at most."""

    slots: int
    threads: int
    batch: int

    def __str__(self) -> str:
        """The layout in the notation of WHISPER_LAYOUT."""
        return f"{self.slots}x{self.threads}x{self.batch}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The layout of this notation. Raises ValueError, or TypeError for another count of numbers."""
        return cls(*(int(part) for part in text.split("x")))


def choose_placement(settings: Settings) -> Placement:
    """Device and number format, `auto` resolved.

    Raises InvalidSettings, naming the variable, when this machine does not support them.
    """
    gpus = ctranslate2.get_cuda_device_count()
    device, _, chosen = settings.whisper_device.partition(":")
    if device == "auto":
        device = CUDA if gpus else CPU
    numbers = _numbers(chosen, gpus)
    if device == CUDA and max(numbers, default=0) >= gpus:
        raise InvalidSettings(_missing_gpu(settings.whisper_device, gpus))
    compute_type = settings.whisper_compute_type
    if compute_type == "auto":
        return Placement(device, AUTO_COMPUTE_TYPE[device], numbers)
    supported = ctranslate2.get_supported_compute_types(device)
    if compute_type not in supported:
        raise InvalidSettings(
            f"Invalid settings:\n  WHISPER_COMPUTE_TYPE={compute_type!r}: not supported on this {device} "
            f"(WHISPER_DEVICE={settings.whisper_device}). Use auto, or one of: {', '.join(sorted(supported))}."
        )
    return Placement(device, compute_type, numbers)


def _numbers(chosen: str, gpus: int) -> tuple[int, ...]:
    """Numbers of the devices. chosen: what WHISPER_DEVICE says after the colon. gpus: how many there are."""
    if chosen == "all":
        return tuple(range(gpus))
    return tuple(int(number) for number in chosen.split(",")) if chosen else (0,)


def _missing_gpu(asked: str, gpus: int) -> str:
    found = f"{gpus} CUDA devices are visible, numbered from 0" if gpus else "no CUDA device is visible"
    return f"Invalid settings:\n  WHISPER_DEVICE={asked!r}: {found}. Use {'those' if gpus else 'cpu'} or auto."


def available_cores() -> int:
    """CPU cores this process may use, a container's limit included, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_CPU_LIMIT.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
