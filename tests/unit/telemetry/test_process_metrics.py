"""Process metrics, and those of GPUs. The GPU is a fake, because NVML needs a real one."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest
from prometheus_client import REGISTRY

from transcription.telemetry import process_metrics
from transcription.telemetry.process_metrics import GpuMetrics, ProcessMetrics, resident_bytes

GB = 1 << 30
CLOCK_TICK = 0.02  # seconds; the kernel counts user and system time in ticks of 10 ms


def gpu_metric(name: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"gpu": "0"})


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    state = SimpleNamespace(
        memory=SimpleNamespace(used=3 * GB, total=16 * GB), busy=SimpleNamespace(gpu=75), lost=False
    )

    def query(answer: str) -> object:
        if state.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return getattr(state, answer)

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 1)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: query("memory"))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", lambda _: query("busy"))
    return state


def test_a_gpu_has_metrics_of_memory_and_utilisation(gpu: SimpleNamespace) -> None:
    gpus = GpuMetrics()
    gpus.update()
    assert gpu_metric("transcription_gpu_memory_used_bytes") == gpus.memory_used() == 3 * GB
    assert gpu_metric("transcription_gpu_memory_bytes") == 16 * GB
    assert gpu_metric("transcription_gpu_busy_ratio") == 0.75


def test_a_lost_gpu_does_not_end_the_sampling(gpu: SimpleNamespace) -> None:
    gpus = GpuMetrics()
    gpu.lost = True
    gpus.update()
    assert gpus.memory_used() == 0


def test_a_machine_without_a_gpu_has_no_gpu_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    gpus = GpuMetrics()
    gpus.update()
    assert gpus.memory_used() == 0


def test_the_resident_memory_of_this_process_is_plausible() -> None:
    assert 10 * (1 << 20) < resident_bytes() < 64 * GB


def test_a_process_has_metrics_of_memory_cpu_time_and_descriptors() -> None:
    def process_metric(name: str) -> float:
        return REGISTRY.get_sample_value(name, {"process": "tested"}) or 0.0

    process = ProcessMetrics("tested")
    process.update()
    assert process_metric("transcription_process_resident_bytes") > 10 * (1 << 20)
    assert 0 < process_metric("transcription_process_cpu_seconds_total") <= time.process_time() + CLOCK_TICK
    assert process_metric("transcription_process_open_descriptors") >= 3


def test_cpu_time_is_counted_once() -> None:
    process = ProcessMetrics("tested twice")
    for _ in range(3):
        process.update()
    counted = REGISTRY.get_sample_value("transcription_process_cpu_seconds_total", {"process": "tested twice"})
    assert counted is not None
    assert counted <= time.process_time() + CLOCK_TICK


def test_a_folder_that_has_vanished_does_not_end_the_other_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def until_both_were_read() -> None:
        folders = {"gone": tmp_path / "gone", "here": tmp_path}
        task = asyncio.create_task(process_metrics.update_regularly("api", folders))
        async with asyncio.timeout(30):
            while not REGISTRY.get_sample_value("transcription_disk_size_bytes", {"folder": "here"}):
                await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()

    asyncio.run(until_both_were_read())
