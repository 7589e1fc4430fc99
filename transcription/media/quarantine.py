"""Recordings on which the decoder failed: once may be chance, twice is the recording.

As for recordings that crash the model, see `runners/batching/quarantine.py`, but in memory: a decoder is a process of
one file, so its failures cost no other client anything.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from transcription.core.errors import DecoderFailed, DecoderFailedOnce

MEMORY_SECONDS = 3600.0
FAILURES = 2  # after which a recording is refused
MAX_RECORDINGS = 1000  # beyond it the oldest are forgotten


class DecoderQuarantine:
    """Counts the failures of each recording for an hour after the latest. One per process.

    clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, int, str]] = OrderedDict()

    @contextmanager
    def watching(self, sha256: str) -> Iterator[None]:
        """Decode a recording inside. sha256: of its bytes.

        Raises DecoderFailed at the start if the recording is refused, and in place of its DecoderFailedOnce from the
        second one on.
        """
        if refusal := self._refusal(sha256):
            raise refusal
        try:
            yield
        except DecoderFailedOnce as error:
            self._count(sha256, error.message)
            if refusal := self._refusal(sha256, error.detail):
                raise refusal from error
            raise

    def _count(self, sha256: str, reason: str) -> None:
        _, failures, _ = self._current(sha256)
        self._failures[sha256] = self._clock(), failures + 1, reason
        self._failures.move_to_end(sha256)
        while len(self._failures) > MAX_RECORDINGS:
            self._failures.popitem(last=False)

    def _refusal(self, sha256: str, detail: str = "") -> DecoderFailed | None:
        _, failures, reason = self._current(sha256)
        if failures < FAILURES:
            return None
        reason = reason.removesuffix(" Try again.")
        return DecoderFailed(
            f"{reason} That happened {failures} times, so it is not tried again for an hour. Convert the recording to "
            "WAV or MP3, or have the limit raised if there is one.",
            detail,
        )

    def _current(self, sha256: str) -> tuple[float, int, str]:
        since, failures, reason = self._failures.get(sha256, (0.0, 0, ""))
        return (since, failures, reason) if self._clock() - since < MEMORY_SECONDS else (0.0, 0, "")
