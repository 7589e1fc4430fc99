"""Transcribes in this process: with the pipeline and the model of the service, and without a server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from formats import registry
from formats.registry import ResponseFormat
from runners.client.interface import RunnerState
from runners.host import ModelHost
from runners.models.catalogue import list_models
from transcription.api.parameters.parsing import parse_parameters
from transcription.cli.live_local import LocalLive
from transcription.cli.transcriber import ModelLine, RecordingFailed, RecordingRequest, ReportProgress, state_of
from transcription.core.audio import Window
from transcription.core.errors import TranscriptionError
from transcription.core.options import DecodeOptions, Ticket, TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.transcript import PlacedResult, Transcript, WindowResult
from transcription.media.intake.upload import accept_file
from transcription.media.sandbox.process import warm_up
from transcription.pipeline.assemble import Draft
from transcription.pipeline.transcribe import Pipeline
from transcription.system.signals import waking_the_loop
from transcription.telemetry.logs import configure_logging

MAX_DURATION_SECONDS = 10 * 86_400


class InProcessRunner:
    """`runners.client.interface.Runner` with a model in this process."""

    def __init__(self, settings: Settings) -> None:
        self._host = ModelHost(settings)
        self._started = False

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        """Decode one window. The first one loads the model, so that an invalid file is refused without it."""
        if not self._started:
            self._started = True
            await asyncio.to_thread(self._host.begin)
        return await self._host.transcribe(window, options, ticket)

    async def state(self) -> RunnerState:
        """The state of the model."""
        return await self._host.state()

    def close(self, *, interrupted: bool) -> None:
        """Stop the model's threads; after an interrupt without waiting for them."""
        self._host.stop(wait=not interrupted)


class LocalTranscriber:
    """Transcribes with a model in this process. settings: those of the service, from the environment."""

    def __init__(self, settings: Settings) -> None:
        # The service limits what clients may send; the user of the command is not limited.
        self._settings = settings.model_copy(
            update={"log_level": "CRITICAL", "max_file_size": sys.maxsize, "max_duration": MAX_DURATION_SECONDS}
        )
        configure_logging(self._settings)
        self._runner: InProcessRunner | None = None

    def models(self) -> list[ModelLine]:
        """The released models, and the folders of WHISPER_MODEL_DIR."""
        default = self._settings.whisper_model
        return [
            ModelLine(
                each.name,
                each.entry.size if each.entry else "",
                each.entry.accuracy if each.entry else "",
                state_of(is_default=each.name == default, is_on_disk=each.on_disk),
            )
            for each in list_models(self._settings)
        ]

    def close(self, *, interrupted: bool = False) -> None:
        """Stop the model. What it decodes at an interrupt is not taken for the cause of a crash."""
        if self._runner:
            self._runner.close(interrupted=interrupted)

    def transcribe(self, request: RecordingRequest, report: ReportProgress) -> Mapping[ResponseFormat, str]:
        """The transcript in each format. The pipeline runs once, for all of them."""
        try:
            parameters = [parse_parameters([*request.parameters.items(), *_format(each)]) for each in request.formats]
            layout = parameters[0].to_layout()
            wanted = [each.to_request(self._settings) for each in parameters]
            with_words = next((each for each in wanted if each.decode.word_timestamps), wanted[0])
            transcript = asyncio.run(self._transcribe(request, with_words, report))
            for notice in transcript.notices:
                request.warn(notice.message)
            return {each: registry.render(transcript, each, layout).body for each in request.formats}
        except TranscriptionError as error:
            raise RecordingFailed(f"{error.message} {error.detail}".strip()) from None

    @asynccontextmanager
    async def live(self, parameters: Mapping[str, str]) -> AsyncIterator[LocalLive]:
        """A session for live audio. Raises RecordingFailed."""
        self._runner = self._runner or InProcessRunner(self._settings)
        engine = LocalLive(self._runner, self._settings, parameters)
        try:
            yield engine
        finally:
            await engine.aclose()

    async def _transcribe(
        self, recording: RecordingRequest, request: TranscriptionRequest, report: ReportProgress
    ) -> Transcript:
        report("loading the model", None)
        warm_up()
        self._runner = self._runner or InProcessRunner(self._settings)
        pipeline = Pipeline(self._settings, self._runner)

        draft = Draft(request)

        def report_window(placed: PlacedResult, seconds: float | None) -> None:
            for segment in draft.add(placed):
                recording.show(segment.start, segment.end, segment.text.strip())
            report("transcribing", min(1.0, placed.timeline.end / seconds) if seconds else None)

        with waking_the_loop():
            async with accept_file(recording.path, self._settings, recording.name) as upload:
                return await pipeline.transcribe(upload, request, lambda: Ticket("command"), on_result=report_window)


def _format(each: ResponseFormat) -> list[tuple[str, str]]:
    return [("response_format", each.value)]
