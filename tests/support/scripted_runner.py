"""A runner in place of the model, which answers by script."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from runners.client.interface import RunnerState
from transcription.core.audio import Window
from transcription.core.errors import ServiceUnavailable
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import Segment, WindowResult

POLL_SECONDS = 0.01


def as_test() -> Ticket:
    return Ticket("test")


@dataclass
class ScriptedRunner:
    """Returns the position of each window in the file as its text.

    seconds: the first window takes as long, later ones less. pause: every window takes that much more. together: none
    is answered before so many were here at once.
    """

    seconds: float = 0.0
    pause: float = 0.0
    together: int = 0
    fail_at: float | None = None
    languages: tuple[str, ...] = ("de",)  # heard in the windows, in turn
    probabilities: tuple[float, ...] = (0.75,)  # of these languages, in turn
    avg_logprob: float = -0.1
    options: list[DecodeOptions] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    cancelled: int = 0

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        heard = self.languages[len(self.options) % len(self.languages)]
        probability = self.probabilities[len(self.options) % len(self.probabilities)]
        self.options.append(options)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            while self.most_running < self.together:
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(self.pause + self.seconds / (1 + window.timeline.start))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if self.fail_at is not None and window.timeline.start >= self.fail_at:
            raise ServiceUnavailable("no more")
        text = f" {window.timeline.start:.0f}"
        segment = Segment(0.0, window.duration, text, (1,), self.avg_logprob, 1.0, 0.0, 0.0)
        return WindowResult(options.language or heard, 1.0 if options.language else probability, (segment,))

    async def state(self) -> RunnerState:
        return RunnerState(True, "cpu", "int8", ())
