"""Spans of OpenTelemetry, exported as BentoML's own settings say (`services.tracing`), else made and thrown away.

A span here never becomes the current one, except for that of a job: they are siblings under the span of the request, so
that none is left current by a generator that somebody else closes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from aiohttp import TraceConfig
from bentoml._internal.configuration.containers import BentoMLContainer
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.trace import NoOpTracer, Tracer

UPLOAD, PROBE, DECODE, VAD, FORMAT = "upload", "media.probe", "media.decode", "media.vad", "format"
QUEUE, MODEL_ENCODE, MODEL_DECODE = "queue", "model.encode", "model.decode"
JOB = "job"


@dataclass(frozen=True, slots=True)
class Stage:
    """Something that was done, nanoseconds since the epoch."""

    name: str
    started: int
    ended: int


class _Recording(threading.local):
    stages: list[Stage] | None = None


_recording = _Recording()


@cache
def _tracer() -> Tracer:
    # Without an exporter BentoML's provider records every span all the same, 50 us each, for nobody.
    return BentoMLContainer.tracer_provider.get().get_tracer("transcription") if _exported() else NoOpTracer()


def _exported() -> bool:
    return BentoMLContainer.tracing.exporter_type.get() is not None


@contextmanager
def traced(name: str, **attributes: str | int | float) -> Iterator[None]:
    """The block as a span under the current one. attributes: never text or names that a client sent."""
    started = _tracer().start_span(name, attributes=attributes)
    try:
        yield
    except Exception as error:
        started.set_attribute("error.type", type(error).__name__)  # its message may say what a client sent
        raise
    finally:
        started.end()


@contextmanager
def current_span(name: str, **attributes: str | int | float) -> Iterator[None]:
    """The block as a span that is the parent of all in it. Not for generators."""
    with _tracer().start_as_current_span(name, attributes=attributes, record_exception=False):
        yield


def past_span(stage: Stage, **attributes: str | int | float) -> None:
    """What was done by somebody else for this request, as a span under the current one."""
    _tracer().start_span(stage.name, attributes=attributes, start_time=stage.started).end(stage.ended)


@contextmanager
def recorded() -> Iterator[list[Stage]]:
    """The stages of this thread's work in the block, which may be for several requests."""
    stages: list[Stage] = []
    _recording.stages = stages
    try:
        yield stages
    finally:
        _recording.stages = None


@contextmanager
def stage(name: str) -> Iterator[None]:
    """The block as one of the stages that are recorded, if they are."""
    started = time.time_ns()
    try:
        yield
    finally:
        if _recording.stages is not None:
            _recording.stages.append(Stage(name, started, time.time_ns()))


def client_traces() -> list[TraceConfig]:
    """For an aiohttp session: a span for each call, whose context goes along with it. None without an exporter."""
    return [create_trace_config(tracer_provider=BentoMLContainer.tracer_provider.get())] if _exported() else []
