"""How much audio a session may take."""

from __future__ import annotations

import asyncio

import pytest

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import AudioTooLong
from transcription.live.allowance import Allowance, LiveClient

ANN = LiveClient("ann")


class Meter:
    """Notes what is counted."""

    def __init__(self) -> None:
        self.taken: list[tuple[LiveClient, int]] = []

    async def take(self, client: LiveClient, seconds: int) -> None:
        self.taken.append((client, seconds))


def test_audio_is_counted_in_seconds_that_have_begun_the_first_when_the_session_is_opened() -> None:
    meter = Meter()

    async def session() -> None:
        allowance = Allowance(60, meter, ANN)
        await allowance.begin()
        for samples in (1, SAMPLE_RATE - 1, 1, 3 * SAMPLE_RATE):
            await allowance.take(samples)

    asyncio.run(session())
    assert meter.taken == [(ANN, 1), (ANN, 1), (ANN, 3)]


def test_a_session_has_a_longest_duration() -> None:
    async def session() -> None:
        allowance = Allowance(2)
        await allowance.take(2 * SAMPLE_RATE)
        await allowance.take(1)

    with pytest.raises(AudioTooLong, match="longer than 2 s"):
        asyncio.run(session())
