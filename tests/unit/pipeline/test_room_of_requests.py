"""How many synchronous requests hold decoders and sound at once: real decoders, a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.media_files import noise, write_wav
from tests.support.scripted_runner import ScriptedRunner
from transcription.core.options import DecodeOptions, Priority, Ticket, TranscriptionRequest, VadOptions
from transcription.core.settings import Settings
from transcription.pipeline import transcribe
from transcription.pipeline.room import DECODER_BYTES, LONGEST_SHORT, Room, room_for
from transcription.pipeline.transcribe import Pipeline

REQUEST = TranscriptionRequest(DecodeOptions("demo", language="en"), VadOptions(enabled=False))
REQUESTS = 5
PATIENCE = 120.0  # seconds; the limit of a failure


class Decoders:
    """In the place of `decode`. most: that ran at once."""

    def __init__(self, decode: Callable[..., AsyncGenerator[Any, None]]) -> None:
        self._decode = decode
        self._running = self.most = 0

    async def __call__(self, *args: Any, **named: Any) -> AsyncGenerator[Any, None]:
        self._running += 1
        self.most = max(self.most, self._running)
        try:
            async for block in self._decode(*args, **named):
                yield block
        finally:
            self._running -= 1


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> Decoders:
    counted = Decoders(transcribe.decode)
    monkeypatch.setattr(transcribe, "decode", counted)
    return counted


async def run_all(settings: Settings, uploaded: Any, path: Path, room: Room, priority: Priority) -> None:
    pipeline = Pipeline(settings, ScriptedRunner(together=REQUESTS))
    pipeline._room = room
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(
            *(
                pipeline.transcribe(uploaded(path), REQUEST, lambda: Ticket("a", priority=priority))
                for _ in range(REQUESTS)
            )
        )


def test_recordings_are_decoded_in_turn_and_wait_for_the_runner_together(
    settings: Settings, uploaded: Any, tmp_path: Path, decoders: Decoders
) -> None:
    path = write_wav(tmp_path / "short.wav", noise(3))
    # One can be decoded. What its sound takes afterwards leaves room for the next.
    room = room_for(None) + REQUESTS * (room_for(3) - DECODER_BYTES)
    asyncio.run(run_all(settings, uploaded, path, Room(room), Priority.INTERACTIVE))
    assert decoders.most == 1


def test_jobs_take_no_room(settings: Settings, uploaded: Any, tmp_path: Path, decoders: Decoders) -> None:
    path = write_wav(tmp_path / "short.wav", noise(3))
    asyncio.run(run_all(settings, uploaded, path, Room(0), Priority.BACKGROUND))


def test_a_long_recording_takes_no_room_and_one_of_unknown_length_that_of_the_longest_short_one() -> None:
    assert room_for(LONGEST_SHORT + 1) == 0
    assert room_for(None) == room_for(LONGEST_SHORT) > room_for(1) > DECODER_BYTES
