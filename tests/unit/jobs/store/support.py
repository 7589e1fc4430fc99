"""What the tests of stores share: a clock, a store without await, and short ways to make data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from tests.support import clock
from transcription.core.audio import SAMPLE_RATE, Span, Timeline
from transcription.core.errors import Failure
from transcription.core.options import DecodeOptions, TranscriptionRequest, VadOptions
from transcription.core.transcript import PlacedResult, Segment, Transcript, WindowResult
from transcription.jobs.job import JobStatus, NewJob, Recording
from transcription.jobs.policy import LEASE_SECONDS
from transcription.jobs.store.base import JobStore

START = 1_800_000_000.0  # seconds since the epoch
RESULT_TTL = 1000.0  # seconds
LEASE = LEASE_SECONDS
WINDOW = 30.0  # seconds of audio
DELIVERY_LEASE = 15.0  # seconds
HOOK = "https://example.org/hook"
REQUEST = TranscriptionRequest(DecodeOptions("demo"), VadOptions())
BROKEN = Failure("model_unavailable", "The runner is gone.", "exit code 9")


class Clock(clock.Clock):
    """Of a store, begins at START."""

    def __init__(self) -> None:
        super().__init__(START)


class Calls:
    """A store whose methods are called without `await`."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.store, name)
        return lambda *args, **named: self._runner.run(method(*args, **named))

    def close(self) -> None:
        self._runner.run(self.store.close())
        self._runner.close()


def new_job(job_id: str, work: str | None = None, **fields: Any) -> NewJob:
    """work: by default one that no other job shares."""
    plain = NewJob(
        job_id, work or f"work of {job_id}", REQUEST, Recording(f"{job_id}.bin", "0" * 64, 1), "json", "print"
    )
    return replace(plain, **fields)


def window(position: int, text: str = " word") -> PlacedResult:
    """The result of the window at `position`, WINDOW seconds long."""
    span = Span(int(position * WINDOW * SAMPLE_RATE), int(WINDOW * SAMPLE_RATE))
    return PlacedResult(Timeline((span,)), WindowResult("en", 1.0, (said(text),)), (span,))


def said(text: str) -> Segment:
    return Segment(0.0, 1.0, text, (1, 2), -0.2, 1.2, 0.01, 0.0)


def transcript(text: str = " words", duration: float = 60.0) -> Transcript:
    return Transcript("en", 1.0, duration, (said(text),), "demo")


def finish(store: Calls, job_id: str, **fields: str) -> None:
    """Submit a job, claim it and complete it."""
    store.submit(new_job(job_id, **fields))
    store.complete(store.claim("me"), transcript())


def statuses(store: Calls, job_ids: Iterable[str]) -> list[JobStatus]:
    return [store.get(job_id).status for job_id in job_ids]
