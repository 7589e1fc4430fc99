"""Delivers the final status of a job to its callback URL: signed, at least once, and to checked addresses only.

docs/WEBHOOKS.md describes the receiver's side, docs/decisions/0014-webhooks.md the reasons. The delays between attempts
are in `transcription.jobs.policy`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import structlog

from transcription.core.errors import InvalidParameter
from transcription.core.settings import Settings
from transcription.jobs import policy
from transcription.jobs.job import Delivery, DeliveryState, Job
from transcription.jobs.store.base import Deliveries
from transcription.jobs.webhooks.sender import Outcome, Sender
from transcription.jobs.webhooks.shares import MAX_CONCURRENT_ATTEMPTS, Shares
from transcription.outbound.address_rules import CALLBACK, AllowList, objection, parse_url
from transcription.outbound.http_client import Resolver, SystemResolver
from transcription.telemetry.background import going_on
from transcription.telemetry.logs import request_context
from transcription.telemetry.metrics import WEBHOOK_TRIES

POLL_SECONDS = 1.0
TASK = "webhooks"  # its name as a background task
USER_AGENT = "transcription-service-webhook/1"
RANDOM = secrets.SystemRandom()

log = structlog.get_logger(__name__)


def check_url(url: str, settings: Settings) -> None:
    """Check a callback URL at submission, without resolving its host. Raises InvalidParameter."""
    if not settings.webhook_secret:
        raise InvalidParameter(
            "callback_url is not available: this service has no key to sign callbacks with. Omit it and poll the "
            "status, or have the operator set WEBHOOK_SECRET."
        )
    endpoint = parse_url(url, CALLBACK)
    allow = AllowList.parse(settings.webhook_allow)
    if endpoint.address is None and allow.networks:
        return  # the host may resolve to an address in one of them
    reason = objection(endpoint, [endpoint.address] if endpoint.address else [], allow, CALLBACK)
    if reason:
        raise InvalidParameter(f"callback_url is refused. {reason}")


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of the Webhook-Signature header. timestamp: of the attempt, seconds since the epoch."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Deliverer:
    """Delivers webhooks that are due. Several processes may share one store.

    body_of: renders the final status of a job as JSON. clock: seconds since the epoch. chance: a random number from 0
    to 1, for the jitter of delays.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        body_of: Callable[[Job], Awaitable[bytes]],
        settings: Settings,
        *,
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = RANDOM.random,
    ) -> None:
        self._deliveries = deliveries
        self._body_of = body_of
        self._secret = settings.webhook_secret
        self._lease_seconds = settings.webhook_timeout + policy.DELIVERY_LEASE_MARGIN
        self._sender = Sender(
            AllowList.parse(settings.webhook_allow),
            settings.webhook_timeout,
            resolve or SystemResolver(),
            tls,
        )
        self._clock = clock
        self._chance = chance
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_ATTEMPTS)
        self._shares = Shares()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for due deliveries now. Must be called in the event loop of `run`."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver until cancelled. An interrupted attempt is repeated when its lease expires."""
        async with asyncio.TaskGroup() as attempts:
            while True:
                await self._slots.acquire()
                job = await self._claim()
                if job is None:
                    self._slots.release()
                    await self._pause()
                else:
                    self._shares.begin(job)
                    attempts.create_task(self._deliver(job)).add_done_callback(partial(self._end, job))

    def _end(self, job: Job, _: asyncio.Task[None]) -> None:
        self._shares.end(job)
        self._slots.release()
        self.wake()  # another delivery may have waited for this one

    async def _claim(self) -> Job | None:
        with going_on(TASK):  # due deliveries stay due
            return await self._deliveries.claim_delivery(self._lease_seconds, self._shares.busy())
        return None

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
        self._woken.clear()

    async def _deliver(self, job: Job) -> None:
        # After an error with one delivery, it is repeated when its lease expires: at least once.
        with request_context(job.request_id or job.id, job_id=job.id), going_on(TASK):
            await self._deliver_in_context(job)

    async def _deliver_in_context(self, job: Job) -> None:
        assert job.delivery is not None
        outcome = await self._attempt(job, job.delivery)
        settled = self._settled(job.delivery, outcome)
        await self._deliveries.settle_delivery(job.id, settled)
        label = "failed" if settled.state is DeliveryState.PENDING else settled.state.value
        WEBHOOK_TRIES.labels(label).inc()
        log.info("webhook", attempt=settled.attempts, outcome=label, detail=settled.detail)

    async def _attempt(self, job: Job, delivery: Delivery) -> Outcome:
        if delivery.attempts > policy.MAX_DELIVERY_ATTEMPTS:
            return Outcome(DeliveryState.GIVEN_UP, "The service was stopped during the last attempt.")
        if not self._secret:
            return Outcome(DeliveryState.PENDING, "The service has no key to sign callbacks with. Set WEBHOOK_SECRET.")
        try:
            return await self._sign_and_send(job, delivery)
        except Exception:  # an error with one job or one receiver must not stop all callbacks
            log.exception("webhook_fault", attempt=delivery.attempts)
            return Outcome(DeliveryState.PENDING, "The attempt failed inside the service; see its log.")

    async def _sign_and_send(self, job: Job, delivery: Delivery) -> Outcome:
        body = await self._body_of(job)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Webhook-Id": job.id,
            "Webhook-Attempt": str(delivery.attempts),
            "Webhook-Signature": signature(self._secret, int(self._clock()), body),
        }
        return await self._sender.send(delivery.url, delivery.attempts, headers, body)

    def _settled(self, delivery: Delivery, outcome: Outcome) -> Delivery:
        if outcome.state is not DeliveryState.PENDING:
            return replace(delivery, state=outcome.state, next_at=None, detail=outcome.detail)
        if delivery.attempts >= policy.MAX_DELIVERY_ATTEMPTS:
            detail = f"{outcome.detail} That was the last of {policy.MAX_DELIVERY_ATTEMPTS} attempts."
            return replace(delivery, state=DeliveryState.GIVEN_UP, next_at=None, detail=detail)
        delay = policy.delivery_delay(delivery.attempts, outcome.retry_after, self._chance())
        return replace(delivery, next_at=self._clock() + delay, detail=outcome.detail)
