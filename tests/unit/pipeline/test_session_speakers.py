"""What the speakers of a live session leave behind when it is closed."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import numpy as np
import pytest

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import ModelUnavailable
from transcription.pipeline.diarize import in_live_thread
from transcription.pipeline.session_speakers import MOST_WAITING, SessionSpeakers, Sound

PATIENCE = 60.0  # seconds; the limit of a failure
SAMPLES = np.zeros(60 * SAMPLE_RATE, np.int16)


def test_closing_a_session_that_was_cancelled_while_it_caught_up_cancels_all_its_windows(tmp_path: Path) -> None:
    async def scenario() -> None:
        release = threading.Event()
        others = in_live_thread(lambda: release.wait(PATIENCE))  # another session has the thread
        try:
            session, sound = SessionSpeakers(tmp_path, 2), Sound(0, 0)
            session.feed(sound, SAMPLES, len(SAMPLES))
            assert len(sound.seen) > MOST_WAITING
            catching_up = asyncio.create_task(session.keep_up())
            await asyncio.sleep(0)
            catching_up.cancel()
            await asyncio.gather(catching_up, return_exceptions=True)
            session.close()
            assert all(each.cancelled() for each in sound.seen)
        finally:
            release.set()
            await others

    asyncio.run(scenario())


def test_a_session_without_models_that_is_closed_logs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "diarization").mkdir()  # without weights

    async def scenario() -> None:
        session, sound = SessionSpeakers(tmp_path, 2), Sound(0, 0)
        session.feed(sound, SAMPLES, len(SAMPLES))
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait(sound.seen)
            await session.keep_up()
            with pytest.raises(ModelUnavailable):
                await session.turns(sound)  # the first window's error; those of the others are not asked for
        session.close()

    asyncio.run(scenario())
    gc.collect()
    assert not caplog.records
