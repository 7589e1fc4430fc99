"""Deliveries of webhooks."""

from __future__ import annotations

import json
import sqlite3

from transcription.jobs import policy
from transcription.jobs.job import Delivery, Job
from transcription.jobs.store.base import NONE_BUSY, Busy
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.steps import SqliteSteps, claimed, execute


class SqliteDeliveries(SqliteSteps):
    """As `transcription.jobs.store.base.Deliveries`."""

    async def claim_delivery(self, lease_seconds: float, busy: Busy = NONE_BUSY) -> Job | None:
        due_again = self._clock() + min(lease_seconds, policy.MAX_DELIVERY_WAIT)
        values = self._parameters() | {
            "due_again": due_again,
            "busy_callers": json.dumps(busy.callers),
            "busy_receivers": json.dumps(busy.receivers),
        }

        def step(db: sqlite3.Connection) -> Job | None:
            job = claimed(db, queries.CLAIM_DELIVERY, values)
            while job and not job.delivery:  # it cannot be read
                db.execute(queries.DROP_DELIVERY, (job.number,))
                job = claimed(db, queries.CLAIM_DELIVERY, values)
            return job

        return await self._database.write(step)

    async def settle_delivery(self, job_id: str, delivery: Delivery) -> None:
        latest = self._clock() + policy.MAX_DELIVERY_WAIT
        values = {
            "id": job_id,
            "attempts": delivery.attempts,
            "state": delivery.state,
            "next_at": None if delivery.next_at is None else min(delivery.next_at, latest),
            "detail": delivery.detail,
        }
        await self._database.write(lambda db: execute(db, queries.SETTLE_DELIVERY, values))
