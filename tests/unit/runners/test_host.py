"""The model host without a BentoML service around it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from runners.client.interface import RunnerState
from runners.host import ModelHost
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
