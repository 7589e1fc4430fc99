"""Former transcripts of jobs whose transcript was replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from transcription.core.transcript import Transcript
from transcription.jobs.job import Job, Version
from transcription.jobs.store.redis.steps import RedisSteps
from transcription.jobs.store.rows import pack_transcript
from transcription.jobs.store.unreadable import READ_ERRORS, reason_of

log = structlog.get_logger(__name__)


class RedisVersions(RedisSteps):
    """As `transcription.jobs.store.base.Versions`."""

    async def replace_result(self, shown: Job, transcript: Transcript) -> str:
        payload, file = await self._placed(await asyncio.to_thread(pack_transcript, transcript))
        values = {"id": shown.id, "result": shown.result, "duration": transcript.duration, "file": file}
        result = await self._step("replace_result", payload, **values)
        return str(result or "")

    async def versions(self, job_id: str) -> Sequence[Version]:
        flat = await self._step("versions", id=job_id)
        return [Version(int(number), float(time)) for number, time in zip(flat[::2], flat[1::2], strict=True)]

    async def former_result(self, job_id: str, number: int) -> Transcript | None:
        packed = await self._step("former_result", id=job_id, number=number)
        if not packed:
            return None
        try:
            return await self._read(packed)
        except READ_ERRORS as error:
            log.error("unreadable_version", job_id=job_id, version=number, reason=reason_of(error))
            return None
