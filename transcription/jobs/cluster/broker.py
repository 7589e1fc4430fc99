"""Celery between the API and the workers: what a message is, and how it gets to the broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from celery import Celery
from kombu.exceptions import OperationalError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import Settings

QUEUE = "transcription"
TASK = "transcription.transcribe"
# Redis has a list a priority; the lowest number goes first.
FIRST, SOON, LATER = 0, 3, 6
PRIORITIES = (FIRST, SOON, LATER)
SEPARATOR = "\x06\x16"  # kombu's, between the queue's name and a priority that is not the highest
UNACKNOWLEDGED = "unacked"  # kombu's hash of the messages that workers have in hand
SHORT_SECONDS = 300.0  # of audio; a shorter recording goes before longer ones
PATIENCE_SECONDS = 600.0  # and so does whatever waits longer, so that short ones hold up nothing for ever
LEASE_SLACK = 600  # seconds that the broker waits longer than the longest attempt before it gives a message again
ANSWER_SECONDS = 3.0


def priority_of(attempt: int, seconds: float | None, waiting: float) -> int:
    """Of the message about a job: what was begun is finished first, then short recordings, then the rest.

    attempt: how often it was begun. seconds: of audio, None while unknown. waiting: seconds since it was accepted.
    """
    if attempt:
        return FIRST
    is_short = seconds is not None and seconds <= SHORT_SECONDS
    return SOON if is_short or waiting >= PATIENCE_SECONDS else LATER


def queue_key(priority: int) -> str:
    """The Redis list that holds the messages of this priority."""
    return f"{QUEUE}{SEPARATOR}{priority}" if priority else QUEUE


def make_celery(settings: Settings) -> Celery:
    """The application that both sides share. Nothing is connected to yet.

    A message says that a job is to be begun and no more: the job is in the store, whose lease decides who works on it.
    So a message may come twice, late or not at all.
    """
    app = Celery(QUEUE, broker=settings.broker_url)
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        broker_use_ssl=_tls_of(settings.broker_url),
        task_ignore_result=True,  # the store has it
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_pool="threads",
        worker_concurrency=settings.job_concurrency,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # what a busy worker holds, an idle one cannot take
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,  # the lease says whether to go on
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": settings.job_timeout + LEASE_SLACK,
            "priority_steps": list(PRIORITIES),
            "queue_order_strategy": "priority",
            "socket_connect_timeout": ANSWER_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            "socket_keepalive": True,
        },
    )
    return app


def _tls_of(url: str) -> dict[str, Any] | None:
    """How the broker's certificate is checked. kombu 5.7 connects in the clear to a bare rediss:// URL."""
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return None
    given = {name: value for name, value in parse_qsl(parts.query) if name.startswith("ssl_")}
    return {"ssl_cert_reqs": "required", **given}


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent about a job."""

    job_id: str
    priority: int


class Broker:
    """The API's end of the queue. Raises ServiceUnavailable when Redis does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._app = make_celery(settings)
        self._redis: Redis = Redis.from_url(
            settings.broker_url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS
        )

    async def send(self, messages: Sequence[Message]) -> None:
        """Put messages into the queue, in this order."""
        await asyncio.to_thread(self._send, messages)

    async def is_empty(self) -> bool:
        """Whether no message waits for a worker."""
        try:
            return not any([await self._redis.llen(queue_key(priority)) for priority in PRIORITIES])
        except RedisError as error:
            raise _silent(error) from error

    async def close(self) -> None:
        """End the connections."""
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
            raise _silent(error) from error


def _silent(error: Any) -> ServiceUnavailable:
    return ServiceUnavailable("The Redis that carries messages to the workers does not answer.", str(error))
