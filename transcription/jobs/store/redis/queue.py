"""Claims, leases and attempts of workers."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from transcription.core.errors import Failure
from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs.job import Job
from transcription.jobs.store.redis.steps import RedisSteps
from transcription.jobs.store.rows import PLACED, pack_failure, pack_transcript

FAST = 1  # level of zlib: half of the savings of the best level, in a tenth of the time


class RedisQueue(RedisSteps):
    """As `transcription.jobs.store.base.Queue`."""

    async def claim(self, owner: str, job_id: str | None = None) -> Job | None:
        return await self._claimed("claim", owner=owner, id=job_id)

    async def renew(self, lease: Job) -> None:
        await self._change(lease, "renew")

    async def examined(self, job_id: str, seconds: float | None) -> None:
        await self._step("examined", id=job_id, seconds=seconds)

    async def checkpoint(self, lease: Job, position: int, placed: PlacedResult, total: float | None) -> None:
        packed = zlib.compress(PLACED.pack(placed).encode(), FAST)
        await self._change(lease, "checkpoint", packed, position=position, done=placed.timeline.end, total=total)

    async def drop_checkpoints(self, lease: Job, position: int) -> None:
        await self._change(lease, "drop_checkpoints", position=position)

    async def complete(self, lease: Job, transcript: Transcript) -> None:
        packed = await asyncio.to_thread(pack_transcript, transcript)
        if self._files and self._files.is_large(packed):
            await self.renew(lease)  # writing a file may take almost as long as a lease
        payload, file = await self._placed(packed)
        await self._end(lease, "complete", payload, duration=transcript.duration, file=file)

    async def fail(self, lease: Job, failure: Failure) -> None:
        await self._end(lease, "fail", failure=pack_failure(failure))

    async def postpone(self, lease: Job, delay: float, *, counted: bool = True) -> None:
        await self._change(lease, "requeue", delay=delay, failures=int(counted))

    async def release(self, lease: Job) -> None:
        await self._change(lease, "requeue", failures=0)

    async def refuse(self, job_id: str, failure: Failure) -> bool:
        return bool(await self._replicated_step("refuse", id=job_id, failure=pack_failure(failure)))

    async def _end(self, lease: Job, name: str, payload: str | bytes = b"", **values: Any) -> None:
        if self._primary.is_elected:
            # Clients see the end at once. Where no replica confirms this, none would confirm the end.
            await self._change(lease, "renew", replicated=True)
        await self._change(lease, name, payload, replicated=True, **values)
