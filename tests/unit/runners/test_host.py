"""The model host without a BentoML service around it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from runners import host as host_module
from runners.batching import measuring
from runners.batching.layout import Speed
from runners.batching.tuning import ROUNDS, Trial
from runners.client.interface import RunnerState
from runners.host import ModelHost
from runners.placement import DeviceLayout, Placement
from runners.start_layout import choose_start
from tests.support.waiting import wait_until
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.settings import Settings

ERROR_SECONDS = 30.0


def test_a_default_model_that_cannot_be_loaded_leaves_the_process_alive(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (folder / name).write_text("{}")

    settings = Settings(_env_file=None, whisper_model_dir=tmp_path, cache_dir=tmp_path, whisper_model="broken")
    host = ModelHost(settings)
    host.start()
    try:
        state = asyncio.run(until_error(host))
    finally:
        host.stop()

    assert not state.ready
    assert "'broken'" in state.error


async def until_error(host: ModelHost) -> RunnerState:
    async with asyncio.timeout(ERROR_SECONDS):
        while not (state := await host.state()).error:
            assert not host.ready
            await asyncio.sleep(0.05)
    return state


def test_the_layout_is_measured_after_the_model_is_ready_and_kept_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(EMBEDDED_MODEL_DIR / "demo", tmp_path / "own")
    settings = Settings(_env_file=None, whisper_model_dir=tmp_path, cache_dir=tmp_path, whisper_model="own")
    monkeypatch.setattr(host_module, "available_cores", lambda: 2)
    monkeypatch.setattr(measuring, "IDLE_SECONDS", 0.0)
    ready_when_tried: list[bool] = []
    host = ModelHost(settings)

    def try_out(arguments: Sequence[str], gives_up: Callable[[], bool]) -> list[Trial]:
        ready_when_tried.append(host.ready)
        # The widest layout is the best one here.
        layouts = [DeviceLayout.parse(text) for text in arguments[-2:]]
        return [Trial(each, Speed(each.slots, each.threads)) for each in layouts * ROUNDS]

    monkeypatch.setattr(measuring, "try_out_in_process", try_out)
    with capture_logs() as logs:
        host.start()
        try:
            assert wait_until(lambda: any(line["event"] == "layout_measured" for line in logs), ERROR_SECONDS)
        finally:
            host.stop()

    chosen, measured = (
        next(line for line in logs if line["event"] == name) for name in ("layout_chosen", "layout_measured")
    )
    assert chosen["layout"] == "2x1x4"
    assert measured["layout"] == "1x2x4"
    assert measured["used_from"] == "next start"
    assert ready_when_tried == [True]
    assert str(choose_start(settings, Placement("cpu", "int8"), 2).choice.layout) == "1x2x4"
