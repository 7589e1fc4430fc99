"""One live session: audio in, events out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import numpy as np
from numpy.typing import NDArray

from runners.client.interface import Runner
from transcription.live.events import LiveEvent
from transcription.live.options import LiveOptions


class LiveSession:
    """Transcribes audio while it arrives. Opened by `LiveSessions.open`; for one event loop, not thread-safe.

    clock: monotonic seconds.
    """

    def __init__(
        self, runner: Runner, options: LiveOptions, request_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        raise NotImplementedError

    @property
    def options(self) -> LiveOptions:
        """The options of the next utterance."""
        raise NotImplementedError

    def update(self, options: LiveOptions) -> None:
        """Change the options, from the next utterance on."""
        raise NotImplementedError

    async def feed(self, samples: NDArray[np.int16] | bytes) -> None:
        """Append audio: int16, shape (n,), 16 kHz mono, or the same as little-endian bytes. Any n, 0 included.

        Waits while more than a few seconds of audio are unprocessed, which slows down a client that sends faster than
        real time. Raises InvalidParameter for an odd number of bytes.
        """
        raise NotImplementedError

    async def commit(self) -> int | None:
        """End the utterance now. Returns its number; None if no audio belongs to one."""
        raise NotImplementedError

    async def clear(self) -> None:
        """Forget the audio of the current utterance, of which there will be no more events."""
        raise NotImplementedError

    async def finish(self) -> None:
        """End the utterance, and the events after its final text. Returns at once; audio fed afterwards is ignored."""
        raise NotImplementedError

    def events(self) -> AsyncIterator[LiveEvent]:
        """The events, in order, for one reader. Ends after `finish` or `aclose`.

        A reader that falls behind loses tentative text, nothing else.
        """
        raise NotImplementedError

    async def aclose(self) -> None:
        """Stop at once and free everything; for `finally`. May be called again."""
        raise NotImplementedError
