"""Exports the state of the queue in Redis to Prometheus and to autoscalers.

Run one per deployment: `python -m transcription.jobs.cluster.exporter`. It depends on no worker and no API, so that it
also reports a queue without workers.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from redis.exceptions import RedisError

from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import InvalidSettings, Settings, load_settings
from transcription.jobs.cluster.broker import ANSWER_SECONDS, PRIORITIES, QUEUE, UNACKNOWLEDGED, queue_key
from transcription.jobs.job import JobCounts, JobStatus
from transcription.jobs.store.open import open_shared_store
from transcription.jobs.store.redis.connection import open_redis
from transcription.telemetry.logs import configure_logging
from transcription.telemetry.metrics import serve_metrics

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Queued:
    """Messages of one priority. oldest: seconds since the next one was sent, 0 if there is none."""

    priority: int
    messages: int
    oldest: float


@dataclass(frozen=True, slots=True)
class QueueState:
    """All metrics of one scrape. unacknowledged: messages that workers have received and not acknowledged."""

    queues: tuple[Queued, ...]
    unacknowledged: int
    counts: JobCounts


async def read(settings: Settings) -> QueueState:
    """Read the state from Redis. Raises ServiceUnavailable."""
    store = open_shared_store(settings)
    broker = open_redis(settings.broker_url, connect_seconds=ANSWER_SECONDS, answer_seconds=ANSWER_SECONDS)
    try:
        queues = tuple([await _queued(broker, priority) for priority in PRIORITIES])
        return QueueState(queues, int(await broker.hlen(UNACKNOWLEDGED)), await store.count())
    except RedisError as error:
        raise ServiceUnavailable(
            "The Redis that carries messages to the workers does not answer.", str(error)
        ) from error
    finally:
        await asyncio.gather(store.close(), broker.aclose())


async def _queued(broker: Redis, priority: int) -> Queued:
    key = queue_key(priority)
    length, oldest = await asyncio.gather(broker.llen(key), broker.lindex(key, -1))
    return Queued(priority, int(length), age_of(oldest, time.time()) if oldest else 0.0)


def age_of(message: str | bytes, now: float) -> float:
    """Seconds since a message was sent; 0 for one that this version cannot read. now: seconds since the epoch."""
    try:
        return max(0.0, now - float(json.loads(message)["headers"]["sent_at"]))
    except (ValueError, TypeError, LookupError, RecursionError):
        return 0.0


class QueueCollector(Collector):
    """Reads Redis at every scrape, so that the values are current."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self) -> Iterator[Metric]:
        """All metrics; only `transcription_redis_up` if Redis does not answer."""
        try:
            state = asyncio.run(read(self._settings))
        except ServiceUnavailable as error:
            log.warning("redis_not_read", reason=error.message, detail=error.detail)
            yield _gauge("transcription_redis_up", "Whether Redis answers", 0)
            return
        yield _gauge("transcription_redis_up", "Whether Redis answers", 1)
        yield from _of_queues(state)
        yield from _of_jobs(state.counts)


def _of_queues(state: QueueState) -> Iterator[Metric]:
    labels = ("queue", "priority")
    depth = GaugeMetricFamily("transcription_queue_depth", "Messages waiting for a worker", labels=labels)
    oldest = GaugeMetricFamily(
        "transcription_queue_oldest_seconds", "Age of the next message, in seconds", labels=labels
    )
    for queued in state.queues:
        depth.add_metric((QUEUE, str(queued.priority)), queued.messages)
        oldest.add_metric((QUEUE, str(queued.priority)), queued.oldest)
    held = GaugeMetricFamily(
        "transcription_queue_unacknowledged", "Messages received by workers and not acknowledged", labels=("queue",)
    )
    held.add_metric((QUEUE,), state.unacknowledged)
    yield from (depth, oldest, held)


def _of_jobs(counts: JobCounts) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("transcription_stored_jobs", "Jobs in the store, by status", labels=("status",))
    for status in JobStatus:
        jobs.add_metric((status.value,), counts.by_status.get(status, 0))
    yield jobs
    oldest = counts.oldest_queued
    age = 0.0 if oldest is None else max(0.0, time.time() - oldest)
    yield _gauge("transcription_oldest_queued_job_seconds", "Age of the oldest queued job, in seconds", age)


def _gauge(name: str, text: str, value: float) -> Metric:
    gauge = GaugeMetricFamily(name, text)
    gauge.add_metric((), value)
    return gauge


def main() -> None:
    """Serve /metrics on METRICS_PORT until SIGTERM or SIGINT."""
    settings = load_settings()
    configure_logging(settings)
    if settings.job_backend != "celery" or not settings.metrics_port:
        raise InvalidSettings(
            "Invalid settings:\n  The exporter needs JOB_BACKEND=celery, REDIS_URL and a METRICS_PORT."
        )
    registry = CollectorRegistry()
    registry.register(QueueCollector(settings))
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)  # before the threads of the server start, which inherit the mask
    serve_metrics(settings, registry)
    log.info("exporter_ready", port=settings.metrics_port)
    signal.sigwait(stop)


if __name__ == "__main__":
    main()
