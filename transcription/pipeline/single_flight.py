"""Single flight: concurrent identical requests share one run of the pipeline."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace

from transcription.core.errors import TranscriptionError
from transcription.core.options import Priority, Ticket, TranscriptionRequest
from transcription.core.transcript import PlacedResult, Transcript
from transcription.media.intake.upload import Upload, held
from transcription.pipeline.transcribe import Pipeline
from transcription.telemetry import metrics

# The windows of an unfinished run are kept for this long, so that a client that disconnected and comes back resumes.
RESUMABLE_SECONDS = 600.0
MAX_RESUMABLE_RUNS = 64  # beyond it the oldest are dropped


class SingleFlight:
    """The runs in progress in this process, by the key of their work.

    clock: monotonic seconds.
    """

    def __init__(self, pipeline: Pipeline, clock: Callable[[], float] = time.monotonic) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._runs: dict[str, Run] = {}
        self._resumable: OrderedDict[str, tuple[float, list[PlacedResult]]] = OrderedDict()

    @asynccontextmanager
    async def join(
        self,
        work: str,
        upload: Upload,
        request: TranscriptionRequest,
        ticket: Ticket,
        known: Sequence[PlacedResult] = (),
        resumable: bool = True,
    ) -> AsyncIterator[Subscriber]:
        """Subscribe to the run of this work, or start one. The run is cancelled when its last subscriber leaves.

        known: results of an earlier run, from the first window on. resumable: keep the windows of an unfinished run for
        RESUMABLE_SECONDS, for the next request for the same work.
        """
        run = self._runs.get(work)
        joined = run is not None
        if run is None:
            earlier = max(self._take_resumable(work), list(known), key=len)
            run = self._runs[work] = Run(ticket, earlier)
            run.start(self._transcribe(run, upload, request, earlier))
        run.priorities.append(ticket.priority)
        try:
            yield Subscriber(run, joined)
        finally:
            run.priorities.remove(ticket.priority)
            if not run.priorities:
                del self._runs[work]  # first, so that a request during the cancellation starts a new run
                if resumable and run.reached and not run.succeeded:
                    self._keep_resumable(work, run.reached)
                await run.finish()

    async def _transcribe(
        self, run: Run, upload: Upload, request: TranscriptionRequest, known: Sequence[PlacedResult]
    ) -> Transcript:
        """The run itself. Metrics are counted here, so that shared work counts once."""
        with held(upload) as own, metrics.ACTIVE.track_inprogress():
            try:
                transcript = await self._pipeline.transcribe(own, request, run.ticket, known, run.add)
            except TranscriptionError as error:
                metrics.FAILURES.labels(reason=type(error).__name__).inc()
                raise
        _count(transcript, complete_run=not known)
        return transcript

    def _take_resumable(self, work: str) -> list[PlacedResult]:
        since, results = self._resumable.pop(work, (0.0, []))
        return results if self._clock() - since < RESUMABLE_SECONDS else []

    def _keep_resumable(self, work: str, results: list[PlacedResult]) -> None:
        self._resumable[work] = self._clock(), results
        while len(self._resumable) > MAX_RESUMABLE_RUNS:
            self._resumable.popitem(last=False)


def _count(transcript: Transcript, *, complete_run: bool) -> None:
    """Update the metrics. complete_run: no window came from an earlier run, so the time covers all of the audio."""
    model = transcript.model
    metrics.TRANSCRIPTS.labels(model=model, language=transcript.language, task=transcript.task.value).inc()
    metrics.AUDIO_SECONDS.labels(model=model).inc(transcript.duration)
    if complete_run and transcript.duration:
        metrics.PROCESSING_SECONDS.labels(model=model).observe(transcript.processing_time)
        metrics.REAL_TIME_FACTOR.labels(model=model).observe(transcript.processing_time / transcript.duration)
    for concern in transcript.warnings:
        metrics.HALLUCINATIONS.labels(reason=concern.reason.value, action=concern.action.value).inc()


class Run:
    """One run of the pipeline.

    first: the ticket of its first subscriber; all are of one caller. earlier: results of an interrupted run, which this
    one repeats first. priorities: of its subscribers. results: of the windows so far, in file order. seconds: of audio
    in the file, None while unknown.
    """

    def __init__(self, first: Ticket, earlier: list[PlacedResult]) -> None:
        self._first = first
        self._earlier = earlier
        self.priorities: list[Priority] = []
        self.results: list[PlacedResult] = []
        self.seconds: float | None = None
        self._id = uuid.uuid4().hex
        self._changed = asyncio.Event()
        self._task: asyncio.Task[Transcript]

    def start(self, work: Coroutine[None, None, Transcript]) -> None:
        """Run `work` in a task."""
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(lambda _: self._notify())

    def ticket(self) -> Ticket:
        """The ticket for the next window, with the highest priority of all subscribers."""
        interactive = Priority.INTERACTIVE in self.priorities
        priority = Priority.INTERACTIVE if interactive else Priority.BACKGROUND
        return replace(self._first, priority=priority, work_id=self._id)

    def add(self, placed: PlacedResult, seconds: float | None) -> None:
        """Add the result of the next window."""
        self.results.append(placed)
        self.seconds = seconds
        self._notify()

    @property
    def reached(self) -> list[PlacedResult]:
        """What the next run of this work need not compute: also what this one had no time to repeat."""
        return max(self.results, self._earlier, key=len)

    @property
    def done(self) -> bool:
        """Whether it has ended, successfully or not."""
        return self._task.done()

    @property
    def succeeded(self) -> bool:
        """Whether there is a transcript."""
        return self.done and not self._task.cancelled() and self._task.exception() is None

    async def change(self) -> None:
        """Wait for the next result or the end. No other await may come between reading the state and this call."""
        await self._changed.wait()

    async def transcript(self) -> Transcript:
        """The transcript, or the error of the run. Cancelling this call does not cancel the run."""
        await asyncio.wait((self._task,))
        error = self._task.exception()
        if isinstance(error, TranscriptionError):
            raise copy(error)  # one object, raised in several tasks, would collect the traceback of each
        return self._task.result()

    async def finish(self) -> None:
        """Cancel the run unless it has ended. Its windows have left the runner's queue when this returns.

        The run must not be used afterwards.
        """
        self._task.cancel()
        await asyncio.shield(asyncio.wait((self._task,)))
        # Its exception refers to frames, which refer to audio and to this run: a cycle that only the collector frees.
        del self._task

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Subscriber:
    """One request's view of a run. joined: the run was started by another request."""

    def __init__(self, run: Run, joined: bool) -> None:
        self._run = run
        self.joined = joined

    async def results(self) -> AsyncGenerator[tuple[PlacedResult, float | None], None]:
        """Every window from the first on, with the seconds of audio in the file, None if unknown. Ends with the run."""
        position = 0
        while True:
            while position < len(self._run.results):
                yield self._run.results[position], self._run.seconds
                position += 1
            if self._run.done:
                return
            await self._run.change()

    async def transcript(self) -> Transcript:
        """The whole transcript. Raises the errors of media/ and of the runner."""
        return await self._run.transcript()
