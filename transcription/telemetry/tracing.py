"""OpenTelemetry spans. `bentoml_patches.tracer_provider` exports them as `services.tracing` in configuration.yaml says.

Without an exporter, or in a process that uses no provider, spans cost next to nothing and are discarded.

Only the span of a job ever becomes the current one. All others are siblings under the span of the request: a span that
a generator had made current would stay so if the generator were closed from another context.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.trace import NoOpTracer, NoOpTracerProvider, Tracer, TracerProvider

if TYPE_CHECKING:
    from aiohttp import TraceConfig

# Names of spans
UPLOAD, PROBE, DECODE, VAD, FORMAT = "upload", "media.probe", "media.decode", "media.vad", "format"
DIARIZATION = "diarization"
QUEUE, MODEL_ENCODE, MODEL_DECODE = "queue", "model.encode", "model.decode"
JOB = "job"


@dataclass(frozen=True, slots=True)
class Stage:
    """A finished stage of work. started, ended: nanoseconds since the epoch."""

    name: str
    started: int
    ended: int


class _Recording(threading.local):
    stages: list[Stage] | None = None


_recording = _Recording()


_provider: TracerProvider = NoOpTracerProvider()


def use_provider(provider: TracerProvider) -> None:
    """Take the tracers of this process from `provider`.

    Not from OpenTelemetry's global provider: FastAPI looks there, too, and would add its own spans between ours.
    """
    global _provider
    _provider = provider


def _tracer() -> Tracer:
    return _provider.get_tracer("transcription")


@contextmanager
def traced(name: str, **attributes: str | int | float) -> Iterator[None]:
    """Record the block as a span under the current one. attributes: never text or file names from a client."""
    started = _tracer().start_span(name, attributes=attributes)
    try:
        yield
    except Exception as error:
        started.set_attribute("error.type", type(error).__name__)  # the message may quote what a client sent
        raise
    finally:
        started.end()


@contextmanager
def current_span(name: str, **attributes: str | int | float) -> Iterator[None]:
    """Record the block as a span that is the parent of every span inside it. Not for use in generators."""
    with _tracer().start_as_current_span(name, attributes=attributes, record_exception=False):
        yield


def past_span(stage: Stage, **attributes: str | int | float) -> None:
    """Record a stage that has finished, in this thread or another, as a span under the current one."""
    _tracer().start_span(stage.name, attributes=attributes, start_time=stage.started).end(stage.ended)


@contextmanager
def recorded() -> Iterator[list[Stage]]:
    """Collect the stages that this thread finishes in the block; they may serve several requests."""
    stages: list[Stage] = []
    _recording.stages = stages
    try:
        yield stages
    finally:
        _recording.stages = None


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the block to the stages that `recorded` collects; without it, do nothing."""
    started = time.time_ns()
    try:
        yield
    finally:
        if _recording.stages is not None:
            _recording.stages.append(Stage(name, started, time.time_ns()))


def client_traces() -> list[TraceConfig]:
    """Trace configurations for an aiohttp session: a span for each call, sent on in its `traceparent` header.

    Empty without an exporter.
    """
    if isinstance(_tracer(), NoOpTracer):
        return []
    # Here: aiohttp takes 0.2 s to import, for which the supervisor of the processes has no use.
    from opentelemetry.instrumentation.aiohttp_client import create_trace_config

    return [create_trace_config(tracer_provider=_provider)]
