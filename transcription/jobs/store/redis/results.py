"""Results and finished windows by work."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence

from transcription.core.errors import ResultUnavailable
from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs.store.redis.steps import RedisSteps
from transcription.jobs.store.rows import pack_transcript, readable_windows


class RedisResults(RedisSteps):
    """As `transcription.jobs.store.base.Results`."""

    async def cached(self, work: str) -> Transcript | None:
        if not self._caching:
            return None
        try:
            return await self._transcript("cached", work=work)
        except ResultUnavailable:
            return None

    async def remember(self, work: str, transcript: Transcript) -> None:
        if self._caching:
            packed = await asyncio.to_thread(pack_transcript, transcript)
            payload, file = await self._placed(packed)
            await self._step("remember", payload, work=work, duration=transcript.duration, file=file)

    async def checkpoints(self, work: str, start: int = 0) -> Sequence[PlacedResult]:
        windows = await self._step("checkpoints", work=work, start=start)
        packed = [window.partition(b" ")[2] for window in windows]
        return await asyncio.to_thread(readable_windows, packed, zlib.decompress)
