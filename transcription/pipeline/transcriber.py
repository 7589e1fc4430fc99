"""Answers synchronous requests: from a cached result, from a run that is already in progress, or from a new one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from enum import StrEnum
from typing import Protocol

import structlog

from transcription.core.errors import ServiceUnavailable
from transcription.core.options import Ticket, TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.transcript import PlacedResult, Segment, Transcript
from transcription.media.intake.upload import Upload
from transcription.pipeline.assemble import Draft
from transcription.pipeline.request_key import request_key
from transcription.pipeline.single_flight import SingleFlight
from transcription.telemetry import metrics

log = structlog.get_logger(__name__)


class Source(StrEnum):
    """The origin of a transcript: the cache, a shared run, a run of its own, or one that bypassed the cache."""

    HIT = "hit"
    JOIN = "join"
    MISS = "miss"
    BYPASS = "bypass"


class ResultCache(Protocol):
    """Results and finished windows by request key. Every method raises ServiceUnavailable."""

    async def cached(self, work: str) -> Transcript | None:
        """The result for this request key, unless it has expired."""
        ...

    async def remember(self, work: str, transcript: Transcript) -> None:
        """Store a result until it expires."""
        ...

    async def checkpoints(self, work: str) -> Sequence[PlacedResult]:
        """The windows that an unfinished job with this request key has completed, in file order."""
        ...


class Transcriber:
    """Answers synchronous requests. One per process. Identical requests of a caller share one run, unless private."""

    def __init__(self, settings: Settings, cache: ResultCache, single_flight: SingleFlight) -> None:
        self._settings = settings
        self._cache = cache
        self._single_flight = single_flight

    async def transcribe(
        self, upload: Upload, request: TranscriptionRequest, ticket: Ticket, private: bool
    ) -> tuple[Transcript, Source]:
        """The whole transcript, and its origin.

        private: the run is not shared and nothing is stored. Work is shared only between requests of one caller.
        Raises the errors of media/ and of the runner.
        """
        async with aclosing(self._run(upload, request, ticket, private)) as run:
            async for item in run:
                if not isinstance(item, PlacedResult):
                    metrics.ANSWERS.labels(source=item[1].value).inc()
                    return item
        raise AssertionError("a run ends with its transcript")

    async def stream(
        self, upload: Upload, request: TranscriptionRequest, ticket: Ticket, private: bool
    ) -> AsyncGenerator[Sequence[Segment] | Transcript, None]:
        """As `transcribe`, but yields the new segments of each window as it is completed, and the transcript last."""
        draft, streamed = Draft(request), False
        async with aclosing(self._run(upload, request, ticket, private)) as run:
            async for item in run:
                if isinstance(item, PlacedResult):
                    streamed = True
                    yield draft.add(item)
                    continue
                transcript, source = item
                metrics.ANSWERS.labels(source=source.value).inc()
                if not streamed:
                    yield transcript.segments
                yield transcript

    async def _run(
        self, upload: Upload, request: TranscriptionRequest, ticket: Ticket, private: bool
    ) -> AsyncGenerator[PlacedResult | tuple[Transcript, Source], None]:
        """Windows as they are completed, and the transcript at the end. A cached result has no windows."""
        if private:
            async with self._single_flight.join(
                uuid.uuid4().hex, upload, request, ticket, resumable=False
            ) as subscriber:
                async for placed, _ in subscriber.results():
                    yield placed
                yield await subscriber.transcript(), Source.BYPASS
            return
        settings, caller = self._settings, ticket.caller
        key = await asyncio.to_thread(request_key, upload, request, settings, caller, lenient=upload.lenient)
        cached, known = await self._look_up(key)
        if cached:
            yield cached, Source.HIT
            return
        async with self._single_flight.join(key, upload, request, ticket, known) as subscriber:
            async for placed, _ in subscriber.results():
                yield placed
            transcript = await subscriber.transcript()
        if not subscriber.joined:
            await self._remember(key, transcript)
        yield transcript, Source.JOIN if subscriber.joined else Source.MISS

    async def _look_up(self, key: str) -> tuple[Transcript | None, Sequence[PlacedResult]]:
        """The cached result, or else the windows of an unfinished job. Neither when the store does not answer."""
        try:
            cached = await self._cache.cached(key)
            known = await self._cache.checkpoints(key) if self._settings.enable_cache and not cached else ()
        except ServiceUnavailable as error:  # a synchronous request can be answered without the store
            log.warning("result_not_looked_up", reason=error.message, detail=error.detail)
            return None, ()
        return cached, known

    async def _remember(self, key: str, transcript: Transcript) -> None:
        try:
            await self._cache.remember(key, transcript)
        except ServiceUnavailable as error:  # the client gets its answer all the same
            log.warning("result_not_stored", reason=error.message, detail=error.detail)
