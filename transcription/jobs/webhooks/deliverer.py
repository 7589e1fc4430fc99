"""Tells the caller's address how a job ended: at least once, signed, and to no address that was not checked.

docs/WEBHOOKS.md is the receiver's side of it, docs/decisions/0014-webhooks.md says why it is so.
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
from typing import Protocol

import structlog

from transcription.core.errors import InvalidParameter, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs import policy
from transcription.jobs.job import Delivery, DeliveryState, Job
from transcription.jobs.webhooks.sender import Outcome, Sender
from transcription.outbound.address_rules import CALLBACK, AllowList, objection, parse_url
from transcription.outbound.http_client import Resolver, SystemResolver, trusted_authorities
from transcription.telemetry.logs import request_context
from transcription.telemetry.metrics import WEBHOOK_TRIES

MAX_TRIES_AT_ONCE = 32
POLL_SECONDS = 1.0
USER_AGENT = "transcription-service-webhook/1"
RANDOM = secrets.SystemRandom()

log = structlog.get_logger(__name__)


class Outbox(Protocol):
    """What is needed of a JobStore."""

    async def claim_delivery(self, lease_seconds: float) -> Job | None: ...

    async def settle_delivery(self, job_id: str, delivery: Delivery) -> None: ...


def check_url(url: str, settings: Settings) -> None:
    """Refuse at submission what can be told without resolving the host. Raises InvalidParameter."""
    if not settings.webhook_secret:
        raise InvalidParameter(
            "callback_url is not available: this service has no key to sign callbacks with. Leave it out and ask for "
            "the status, or have the operator set WEBHOOK_SECRET."
        )
    endpoint = parse_url(url, CALLBACK)
    allow = AllowList.parse(settings.webhook_allow)
    if endpoint.address is None and allow.networks:
        return  # the host may turn out to be in one of them
    reason = objection(endpoint, [endpoint.address] if endpoint.address else [], allow, CALLBACK)
    if reason:
        raise InvalidParameter(f"callback_url is refused. {reason}")


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Value of the Webhook-Signature header. timestamp: of the try, seconds since the epoch."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Deliverer:
    """Delivers what is due in an outbox; any number of them may share one.

    body_of: renders the final status of a job, as JSON. clock: seconds since the epoch.
    chance: from 0 to 1, decides about jitter.
    """

    def __init__(
        self,
        outbox: Outbox,
        body_of: Callable[[Job], Awaitable[bytes]],
        settings: Settings,
        *,
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = RANDOM.random,
    ) -> None:
        self._outbox = outbox
        self._body_of = body_of
        self._secret = settings.webhook_secret
        self._lease_seconds = settings.webhook_timeout + policy.DELIVERY_LEASE_MARGIN
        self._sender = Sender(
            AllowList.parse(settings.webhook_allow),
            settings.webhook_timeout,
            resolve or SystemResolver(),
            tls or trusted_authorities(),
        )
        self._clock = clock
        self._chance = chance
        self._slots = asyncio.Semaphore(MAX_TRIES_AT_ONCE)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something may be due. Call it in the event loop of `run`."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled. A try that is interrupted comes again, when its lease is over.

        Raises an exception group with what the outbox raises beside ServiceUnavailable.
        """
        async with asyncio.TaskGroup() as tries:
            while True:
                await self._slots.acquire()
                job = await self._claim()
                if job is None:
                    self._slots.release()
                    await self._pause()
                else:
                    tries.create_task(self._deliver(job)).add_done_callback(lambda _: self._slots.release())

    async def _claim(self) -> Job | None:
        try:
            return await self._outbox.claim_delivery(self._lease_seconds)
        except ServiceUnavailable as error:  # a full disk, for one; what is due stays due
            log.warning("webhooks_wait", reason=error.message, detail=error.detail)
            return None

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
        self._woken.clear()

    async def _deliver(self, job: Job) -> None:
        with request_context(job.request_id or job.id, job_id=job.id):
            await self._deliver_in_context(job)

    async def _deliver_in_context(self, job: Job) -> None:
        assert job.delivery is not None
        outcome = await self._try(job, job.delivery)
        settled = self._settled(job.delivery, outcome)
        try:
            await self._outbox.settle_delivery(job.id, settled)
        except ServiceUnavailable as error:  # the try comes again when its lease is over: at least once
            log.warning("webhook_not_settled", reason=error.message, detail=error.detail)
            return
        label = "failed" if settled.state is DeliveryState.PENDING else settled.state.value
        WEBHOOK_TRIES.labels(label).inc()
        log.info("webhook", attempt=settled.attempts, outcome=label, detail=settled.detail)

    async def _try(self, job: Job, delivery: Delivery) -> Outcome:
        if delivery.attempts > policy.MAX_DELIVERY_ATTEMPTS:
            return Outcome(DeliveryState.GIVEN_UP, "The service was stopped during the last try.")
        if not self._secret:
            return Outcome(DeliveryState.PENDING, "The service has no key to sign with. Set WEBHOOK_SECRET.")
        try:
            return await self._sign_and_send(job, delivery)
        except Exception:  # a fault in one job's status or one receiver's answer must not stop everybody's callbacks
            log.exception("webhook_fault", attempt=delivery.attempts)
            return Outcome(DeliveryState.PENDING, "The try failed inside the service; its log says why.")

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
            detail = f"{outcome.detail} That was the last of {policy.MAX_DELIVERY_ATTEMPTS} tries."
            return replace(delivery, state=DeliveryState.GIVEN_UP, next_at=None, detail=detail)
        delay = policy.delivery_delay(delivery.attempts, outcome.retry_after, self._chance())
        return replace(delivery, next_at=self._clock() + delay, detail=outcome.detail)
