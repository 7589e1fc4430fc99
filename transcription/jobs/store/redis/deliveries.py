"""Deliveries of webhooks."""

from __future__ import annotations

from transcription.jobs.job import Delivery, Job
from transcription.jobs.store.base import NONE_BUSY, Busy
from transcription.jobs.store.redis.steps import RedisSteps


class RedisDeliveries(RedisSteps):
    """As `transcription.jobs.store.base.Deliveries`."""

    async def claim_delivery(self, lease_seconds: float, busy: Busy = NONE_BUSY) -> Job | None:
        claim = {"lease_seconds": lease_seconds, "callers": list(busy.callers), "receivers": list(busy.receivers)}
        job = await self._job("claim_delivery", **claim)
        while job and not job.delivery:  # it cannot be read
            await self._step("drop_delivery", id=job.id)
            job = await self._job("claim_delivery", **claim)
        return job

    async def settle_delivery(self, job_id: str, delivery: Delivery) -> None:
        tried, state = delivery.attempts, delivery.state.value
        await self._step(
            "settle_delivery", id=job_id, attempts=tried, state=state, next_at=delivery.next_at, detail=delivery.detail
        )
