"""Single flight: identical requests share one run of the pipeline, whoever of them came first and whoever stays."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path

from transcription.core.errors import TranscriptionError
from transcription.core.options import Priority, Ticket, TranscriptionRequest
from transcription.core.transcript import PlacedResult, Transcript
from transcription.media.intake.upload import Upload, held
from transcription.pipeline.transcribe import Pipeline
from transcription.telemetry import metrics

LINGER_SECONDS = 600.0  # a client that gave up and comes back within this time goes on where it stopped
LINGERING = 64  # works whose results wait for that, the oldest go first


class Flights:
    """All work that is done in this process, by what identifies it.

    folder: where a second name of a file is kept while it is worked on; on the file system of all files.
    clock: monotonic seconds.
    """

    def __init__(self, pipeline: Pipeline, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._pipeline = pipeline
        self._folder = folder
        self._clock = clock
        self._flying: dict[str, Flight] = {}
        self._left_behind: OrderedDict[str, tuple[float, list[PlacedResult]]] = OrderedDict()

    @asynccontextmanager
    async def join(
        self,
        work: str,
        upload: Upload,
        request: TranscriptionRequest,
        ticket: Ticket,
        known: Sequence[PlacedResult] = (),
        linger: bool = True,
    ) -> AsyncIterator[Passenger]:
        """Share the work, or begin it. Whoever leaves last ends it.

        known: what an earlier run obtained, from the first window on. linger: keep for a while what an unfinished run
        has obtained, for whoever asks again.
        """
        flight = self._flying.get(work)
        joined = flight is not None
        if flight is None:
            earlier = max(self._take_left_behind(work), list(known), key=len)
            flight = self._flying[work] = Flight(ticket.request_id)
            flight.take_off(self._fly(flight, upload, request, earlier))
        passenger = Passenger(flight, joined)
        flight.priorities.append(ticket.priority)
        try:
            yield passenger
        finally:
            flight.priorities.remove(ticket.priority)
            if not flight.priorities:
                del self._flying[work]  # first: whoever comes while it is being cancelled begins anew
                if linger and flight.results and not flight.succeeded:
                    self._leave_behind(work, flight.results)
                await flight.land()

    async def _fly(
        self, flight: Flight, upload: Upload, request: TranscriptionRequest, known: Sequence[PlacedResult]
    ) -> Transcript:
        """The run itself, counted here, where work that several share is done once."""
        with held(upload, self._folder) as own, metrics.ACTIVE.track_inprogress():
            try:
                transcript = await self._pipeline.transcribe(own, request, flight.ticket, known, flight.note)
            except TranscriptionError as error:
                metrics.FAILURES.labels(reason=type(error).__name__).inc()
                raise
        _count(transcript, new=not known)
        return transcript

    def _take_left_behind(self, work: str) -> list[PlacedResult]:
        since, results = self._left_behind.pop(work, (0.0, []))
        return results if self._clock() - since < LINGER_SECONDS else []

    def _leave_behind(self, work: str, results: list[PlacedResult]) -> None:
        self._left_behind[work] = self._clock(), results
        while len(self._left_behind) > LINGERING:
            self._left_behind.popitem(last=False)


def _count(transcript: Transcript, *, new: bool) -> None:
    """new: no part of it was done by an earlier run, so that its time tells the speed."""
    model = transcript.model
    metrics.TRANSCRIPTS.labels(model=model, language=transcript.language, task=transcript.task.value).inc()
    metrics.AUDIO_SECONDS.labels(model=model).inc(transcript.duration)
    if new and transcript.duration:
        metrics.PROCESSING_SECONDS.labels(model=model).observe(transcript.processing_time)
        metrics.REAL_TIME_FACTOR.labels(model=model).observe(transcript.processing_time / transcript.duration)
    for concern in transcript.warnings:
        metrics.HALLUCINATIONS.labels(reason=concern.reason.value, action=concern.action.value).inc()


class Flight:
    """One run of the pipeline. priorities: of everybody who waits for it. seconds: of audio, None while unknown."""

    def __init__(self, request_id: str) -> None:
        self.priorities: list[Priority] = []
        self.results: list[PlacedResult] = []
        self.seconds: float | None = None
        self._request_id = request_id
        self._id = uuid.uuid4().hex
        self._news = asyncio.Event()
        self._run: asyncio.Task[Transcript]

    def take_off(self, run: Coroutine[None, None, Transcript]) -> None:
        """Begin."""
        self._run = asyncio.create_task(run)
        self._run.add_done_callback(lambda _: self._tell())

    def ticket(self) -> Ticket:
        """For the next window: as urgent as the most urgent of those who wait."""
        interactive = Priority.INTERACTIVE in self.priorities
        return Ticket(self._request_id, Priority.INTERACTIVE if interactive else Priority.BACKGROUND, self._id)

    def note(self, placed: PlacedResult, seconds: float | None) -> None:
        """One more window is done."""
        self.results.append(placed)
        self.seconds = seconds
        self._tell()

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._run.done()

    @property
    def succeeded(self) -> bool:
        """Whether there is a transcript."""
        return self.done and not self._run.cancelled() and self._run.exception() is None

    async def change(self) -> None:
        """Return when there is more, or the end. To be awaited before anything else is."""
        await self._news.wait()

    async def transcript(self) -> Transcript:
        """What comes out. Cancelling the call leaves the run alone."""
        await asyncio.wait((self._run,))
        error = self._run.exception()
        if isinstance(error, TranscriptionError):
            raise copy(error)  # raised in several tasks, one object would collect the traceback of each
        return self._run.result()

    async def land(self) -> None:
        """End it, if it has not ended. Its windows have left the runner's queue when this returns.

        Nobody may ask it anything afterwards.
        """
        self._run.cancel()
        await asyncio.shield(asyncio.wait((self._run,)))
        # Its exception holds frames, which hold audio and this flight: a circle that only the collector would find.
        del self._run

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Passenger:
    """Somebody's share in a flight. joined: another one had begun it."""

    def __init__(self, flight: Flight, joined: bool) -> None:
        self._flight = flight
        self.joined = joined

    async def results(self) -> AsyncGenerator[tuple[PlacedResult, float | None], None]:
        """Every window from the first on, as it is done, with the file's seconds; ends when the work ends."""
        position = 0
        while True:
            while position < len(self._flight.results):
                yield self._flight.results[position], self._flight.seconds
                position += 1
            if self._flight.done:
                return
            await self._flight.change()

    async def transcript(self) -> Transcript:
        """The whole. Raises what the work raised, the errors of media/ and of the runner."""
        return await self._flight.transcript()
