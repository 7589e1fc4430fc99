"""What a process and a GPU are said to hold. The GPU is a fake: NVML answers on machines that have one only."""

from __future__ import annotations

from types import SimpleNamespace

import pynvml
import pytest
from prometheus_client import REGISTRY

from transcription.telemetry.process_metrics import GpuReading, resident_bytes

GB = 1 << 30


def told(name: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"gpu": "0"})


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    state = SimpleNamespace(
        memory=SimpleNamespace(used=3 * GB, total=16 * GB), busy=SimpleNamespace(gpu=75), lost=False
    )

    def ask(answer: str) -> object:
        if state.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return getattr(state, answer)

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 1)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: ask("memory"))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", lambda _: ask("busy"))
    return state


def test_a_gpu_tells_its_memory_and_how_busy_it_is(gpu: SimpleNamespace) -> None:
    reading = GpuReading()
    reading.take()
    assert told("transcription_gpu_memory_used_bytes") == reading.memory_used() == 3 * GB
    assert told("transcription_gpu_memory_bytes") == 16 * GB
    assert told("transcription_gpu_busy_ratio") == 0.75


def test_a_gpu_that_is_lost_does_not_end_the_reading(gpu: SimpleNamespace) -> None:
    reading = GpuReading()
    gpu.lost = True
    reading.take()
    assert reading.memory_used() == 0


def test_a_machine_without_a_gpu_tells_nothing_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    reading = GpuReading()
    reading.take()
    assert reading.memory_used() == 0


def test_a_process_knows_what_it_holds() -> None:
    assert 10 * (1 << 20) < resident_bytes() < 64 * GB
