"""How much audio a live session may take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import AudioTooLong


@dataclass(frozen=True, slots=True)
class LiveClient:
    """Whose limits a session counts against.

    key: an API key or an address; "" for no limits. minutes_per_hour: of live audio; None for the default.
    """

    key: str = ""
    minutes_per_hour: int | None = None


class AudioMeter(Protocol):
    """Counts the live audio of each client."""

    async def take(self, client: LiveClient, seconds: int) -> None:
        """Count more audio. Raises TooManyLiveMinutes beyond the client's limit."""


class Allowance:
    """The audio of one session. longest: seconds. meter: None counts nothing."""

    def __init__(
        self, longest: float = math.inf, meter: AudioMeter | None = None, client: LiveClient | None = None
    ) -> None:
        self._longest = longest
        self._meter = meter
        self._client = client or LiveClient()
        self._samples = 0
        self._counted = 0  # whole seconds

    async def begin(self) -> None:
        """Count the first second. Raises TooManyLiveMinutes."""
        await self._count(1)

    async def take(self, samples: int) -> None:
        """Take more audio, counted in whole seconds. Raises AudioTooLong, TooManyLiveMinutes."""
        if self._samples >= self._longest * SAMPLE_RATE:
            raise AudioTooLong(
                f"The session is longer than {self._longest:g} s, the limit of this service. Its text is complete; "
                "start another one."
            )
        self._samples += samples
        await self._count(math.ceil(self._samples / SAMPLE_RATE))

    async def _count(self, seconds: int) -> None:
        if self._meter and seconds > self._counted:
            await self._meter.take(self._client, seconds - self._counted)
            self._counted = seconds
