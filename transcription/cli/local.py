"""Work in this process: the pipeline and the model of the service, without its server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

from formats import registry
from formats.registry import ResponseFormat
from runners.client.interface import RunnerState
from runners.whisper import WhisperRunner
from transcription.api.parameters.parsing import parse_parameters
from transcription.cli.order import Failed, Order, Progress
from transcription.core.audio import Window
from transcription.core.errors import TranscriptionError
from transcription.core.options import DecodeOptions, Ticket, TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.transcript import PlacedResult, Transcript, WindowResult
from transcription.media.intake.upload import accept_file
from transcription.media.sandbox.process import warm_up
from transcription.pipeline.transcribe import Pipeline
from transcription.telemetry.logs import configure_logging

LONGEST_SECONDS = 10 * 86_400


class InProcessRunner:
    """`runners.client.interface.Runner` on a model of this process."""

    def __init__(self, settings: Settings) -> None:
        self._runner = WhisperRunner(settings)
        self._begun = False

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        """Decode one window. The first one loads the model, so that a file that is none costs no model."""
        if not self._begun:
            self._begun = True
            await asyncio.to_thread(self._runner.begin)
        return await self._runner.decode(window.samples, options, ticket)

    async def state(self) -> RunnerState:
        """What the model is."""
        state: RunnerState = await self._runner.state()
        return state

    def close(self) -> None:
        """Stop the model's threads."""
        self._runner.stop()


class Here:
    """settings: as the service's, from the environment."""

    def __init__(self, settings: Settings) -> None:
        # Limits are for strangers; whoever starts the command may use the machine.
        self._settings = settings.model_copy(
            update={"log_level": "CRITICAL", "max_file_size": sys.maxsize, "max_duration": LONGEST_SECONDS}
        )
        configure_logging(self._settings)
        self._runner: InProcessRunner | None = None

    def close(self) -> None:
        """Stop the model."""
        if self._runner:
            self._runner.close()

    def transcribe(self, order: Order, progress: Progress) -> Mapping[ResponseFormat, str]:
        """The pipeline, once, whatever the number of formats."""
        try:
            parameters = [parse_parameters([*order.parameters.items(), *_format(each)]) for each in order.formats]
            layouts = [each.checked_layout() for each in parameters]
            wanted = next((each for each in parameters if each.needs_words()), parameters[0])
            transcript = asyncio.run(self._transcribe(order, wanted.to_request(self._settings), progress))
            return {
                each: registry.render(transcript, each, layout).body
                for each, layout in zip(order.formats, layouts, strict=True)
            }
        except TranscriptionError as error:
            raise Failed(f"{error.message} {error.detail}".strip()) from None

    async def _transcribe(self, order: Order, request: TranscriptionRequest, progress: Progress) -> Transcript:
        progress("loading the model", None)
        self._settings.temp_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        warm_up()
        self._runner = self._runner or InProcessRunner(self._settings)
        pipeline = Pipeline(self._settings, self._runner)

        def note(placed: PlacedResult, seconds: float | None) -> None:
            progress("transcribing", min(1.0, placed.timeline.end / seconds) if seconds else None)

        async with accept_file(order.path, self._settings, order.name) as upload:
            return await pipeline.transcribe(upload, request, lambda: Ticket("command"), on_result=note)


def _format(each: ResponseFormat) -> list[tuple[str, str]]:
    return [("response_format", each.value)]
