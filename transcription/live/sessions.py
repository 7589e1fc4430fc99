"""The live sessions of a process, and their limits."""

from __future__ import annotations

import time
from collections.abc import Callable

from runners.client.interface import Runner
from transcription.core.settings import Settings
from transcription.live.options import LiveOptions
from transcription.live.session import LiveSession


class LiveSessions:
    """Opens sessions, while there is room. clock: monotonic seconds."""

    def __init__(self, runner: Runner, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        raise NotImplementedError

    async def open(self, options: LiveOptions, caller: str, request_id: str) -> LiveSession:
        """A new session, which counts until its `aclose`. caller: whose limit it counts against.

        Raises TooManyStreams when the caller has too many, ServiceUnavailable when the process has, or the model is too
        slow for one more.
        """
        raise NotImplementedError

    async def aclose(self) -> None:
        """Finish every session, for a graceful stop: utterances get their final text, and the events end."""
        raise NotImplementedError
