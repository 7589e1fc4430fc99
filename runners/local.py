"""The runner inside the caller's own process, for workers that have a device to themselves."""

from __future__ import annotations

from runners.client.interface import RunnerState
from runners.whisper import WhisperRunner
from transcription.core.audio import Window
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.settings import Settings
from transcription.core.transcript import WindowResult


class LocalRunner:
    """`runners.client.interface.Runner` without a border between processes: the same queue, batches and model cache.

    A device that hangs ends the whole process, as it ends the runner's own elsewhere.
    """

    def __init__(self, settings: Settings) -> None:
        self._runner = WhisperRunner(settings)

    def start(self) -> None:
        """Choose the layout, start the slots and load the default model, in the background."""
        self._runner.start()

    def stop(self) -> None:
        """Finish what runs, refuse what waits."""
        self._runner.stop()

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        """Decode one window. Cancelling takes it out of the queue. Raises what the interface says."""
        return await self._runner.decode(window.samples, options, ticket)

    async def state(self) -> RunnerState:
        """Never waits for the model."""
        state: RunnerState = await self._runner.state()
        return state
