"""A limit on the number of event streams that a client has open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from transcription.core.errors import TooManyStreams

RETRY_SECONDS = 15.0


class ConcurrentStreams:
    """Counts the open streams of each client. most: the limit per client."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @contextmanager
    def stream(self, client: str) -> Iterator[None]:
        """Count a stream while the context lasts. Raises TooManyStreams."""
        if self._open[client] >= self._most:
            raise TooManyStreams(
                f"You have {self._open[client]} event streams open, the maximum. Close one, or poll GET /status/ID.",
                retry_after=RETRY_SECONDS,
            )
        self._open[client] += 1
        try:
            yield
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    @property
    def clients(self) -> int:
        """Number of clients with an open stream."""
        return len(self._open)
