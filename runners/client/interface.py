"""The interface of the runner for the rest of the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from transcription.core.audio import Window
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import WindowResult

RUNNER_NAME = "whisper_runner"  # of its BentoML service
RESTART_SECONDS = 10.0  # about the time that the supervisor needs to restart a dead runner


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model as `/models` shows it. on_disk: can be loaded without the model hub."""

    name: str
    on_disk: bool
    loaded: bool


@dataclass(frozen=True, slots=True)
class RunnerState:
    """The state of the runner's process.

    ready: the default model has decoded something since the process started.
    error: why the default model could not be loaded, with the remedy, or "".
    backlog_seconds: estimated wait of a new interactive request.
    """

    ready: bool
    device: str
    compute_type: str
    models: tuple[ModelState, ...]
    error: str = ""
    backlog_seconds: float = 0.0


class Runner(Protocol):
    """Gives access to the model; nothing else does."""

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        """Decode one window.

        Raises UnknownModel, ModelUnavailable, InvalidParameter, RefusedWindow, ServiceUnavailable, and Superseded for a
        replaceable one.
        Cancelling the call takes the window out of the queue.
        """
        ...

    async def state(self) -> RunnerState:
        """The current state. Cheap; never waits for the model."""
        ...
