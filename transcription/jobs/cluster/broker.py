"""Celery between the API and the workers: the messages, their priorities, and how they reach the broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from transcription.core.errors import ServiceUnavailable
from transcription.core.redis_url import parse_sentinels
from transcription.core.settings import Settings
from transcription.jobs.cluster import broker_errors
from transcription.jobs.policy import LONG_WAIT_SECONDS, SHORT_SECONDS
from transcription.jobs.store.redis.connection import open_redis

QUEUE = "transcription"
TASK = "transcription.transcribe"
# Redis has one list per priority; the lowest number is served first.
FIRST, SOON, LATER = 0, 3, 6
PRIORITIES = (FIRST, SOON, LATER)
SEPARATOR = "\x06\x16"  # of kombu, between the name of the queue and any priority but the highest
UNACKNOWLEDGED = "unacked"  # the hash of kombu for messages that workers have received and not acknowledged
VISIBILITY_MARGIN = 600  # seconds beyond JOB_TIMEOUT after which the broker delivers a message again
ANSWER_SECONDS = 3.0


def priority_of(attempt: int, seconds: float | None, waiting: float) -> int:
    """The priority of the message for a job: begun jobs first, then short recordings, then the rest.

    attempt: number of attempts begun. seconds: of audio, None while unknown. waiting: seconds since acceptance.
    """
    if attempt:
        return FIRST
    is_short = seconds is not None and seconds <= SHORT_SECONDS
    return SOON if is_short or waiting >= LONG_WAIT_SECONDS else LATER


def queue_key(priority: int) -> str:
    """The Redis list that holds the messages of this priority."""
    return f"{QUEUE}{SEPARATOR}{priority}" if priority else QUEUE


def make_celery(settings: Settings) -> Celery:
    """The Celery application of both sides, not connected yet.

    A message only asks for an attempt of a job. The job is in the store, whose lease decides which worker runs it, so
    a message may arrive twice, late or not at all.
    """
    broker_errors.install()
    app = Celery(QUEUE, broker=_url_of_kombu(settings.broker_url))
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        broker_use_ssl=_tls_of(settings.broker_url),
        task_ignore_result=True,  # results are in the job store
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_pool="threads",
        worker_concurrency=settings.job_concurrency,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # an idle worker cannot take what a busy one has prefetched
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,  # the lease decides whether to continue
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": settings.job_timeout + VISIBILITY_MARGIN,
            "priority_steps": list(PRIORITIES),
            "queue_order_strategy": "priority",
            "socket_connect_timeout": ANSWER_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            "socket_keepalive": True,
            **_sentinel_options(settings.broker_url),
        },
    )
    return app


def _url_of_kombu(url: str) -> str:
    """kombu takes a URL for each Sentinel, separated by semicolons."""
    sentinels = parse_sentinels(url)
    if sentinels is None:
        return url
    name = f"{quote(sentinels.user, safe='')}:{quote(sentinels.password, safe='')}@" if sentinels.password else ""
    return ";".join(f"sentinel://{name}{host}:{port}/{sentinels.database}" for host, port in sentinels.hosts)


def _sentinel_options(url: str) -> dict[str, Any]:
    sentinels = parse_sentinels(url)
    if sentinels is None:
        return {}
    limits = {"socket_connect_timeout": ANSWER_SECONDS, "socket_timeout": ANSWER_SECONDS}
    return {"master_name": sentinels.primary, "sentinel_kwargs": {**limits, **sentinels.tls}}


def _tls_of(url: str) -> dict[str, Any] | None:
    """TLS options for the broker. Without them kombu 5.7 connects to a rediss:// URL unencrypted."""
    if sentinels := parse_sentinels(url):
        return {name: value for name, value in sentinels.tls.items() if name != "ssl"} or None
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return None
    given = {name: value for name, value in parse_qsl(parts.query) if name.startswith("ssl_")}
    return {"ssl_cert_reqs": "required", **given}


@dataclass(frozen=True, slots=True)
class Message:
    """A request to attempt a job."""

    job_id: str
    priority: int


class Broker:
    """Sends messages to the queue. Every method raises ServiceUnavailable if Redis does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._app = make_celery(settings)
        self._redis = open_redis(settings.broker_url, connect_seconds=ANSWER_SECONDS, answer_seconds=ANSWER_SECONDS)

    async def send(self, messages: Sequence[Message]) -> None:
        """Append messages to the queue, in this order."""
        await asyncio.to_thread(self._send, messages)

    async def is_empty(self) -> bool:
        """Whether no message is waiting for a worker."""
        try:
            return not any([await self._redis.llen(queue_key(priority)) for priority in PRIORITIES])
        except RedisError as error:
            raise _no_answer(error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await asyncio.to_thread(self._app.close)

    def _send(self, messages: Sequence[Message]) -> None:
        try:
            with self._app.producer_or_acquire() as producer:
                for message in messages:
                    self._app.send_task(
                        TASK,
                        (message.job_id,),
                        priority=message.priority,
                        headers={"sent_at": time.time()},  # for the exporter
                        producer=producer,
                        retry=False,
                    )
        except (OperationalError, RedisError, OSError) as error:
            raise _no_answer(error) from error


def _no_answer(error: Any) -> ServiceUnavailable:
    return ServiceUnavailable("The Redis that carries messages to the workers does not answer.", str(error))
