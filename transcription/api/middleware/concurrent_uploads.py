"""Limits on the number and total size of the uploads that a client has in progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from transcription.core.errors import TooManyUploads

RETRY_SECONDS = 5.0  # by then, one of the client's own uploads may have finished


class ConcurrentUploads:
    """Counts the uploads of each client that are being received or transcribed.

    max_uploads, max_bytes: the limits per client.
    """

    def __init__(self, max_uploads: int, max_bytes: int) -> None:
        self._max_uploads = max_uploads
        self._max_bytes = max_bytes
        self._uploads: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    @contextmanager
    def upload(self, client: str, declared: int) -> Iterator[CountedUpload]:
        """Count an upload while the context lasts. declared: its size in bytes; 0 if unknown. Raises TooManyUploads."""
        if self._uploads[client] >= self._max_uploads:
            raise TooManyUploads(
                f"You have {self._uploads[client]} uploads in progress, the maximum. Wait until one has finished.",
                retry_after=RETRY_SECONDS,
            )
        self._uploads[client] += 1
        upload = CountedUpload(self, client)
        try:
            upload.grow_to(declared)
            yield upload
        finally:
            self._uploads[client] -= 1
            self.add(client, -upload.size)
            if not self._uploads[client]:
                del self._uploads[client], self._bytes[client]

    def add(self, client: str, size: int) -> None:
        """Add bytes to the total of a client; a negative size removes them. Raises TooManyUploads."""
        if size > 0 and self._bytes[client] + size > self._max_bytes:
            raise TooManyUploads(
                f"Your uploads in progress exceed {self._max_bytes} bytes in total. Send them one after the other.",
                retry_after=RETRY_SECONDS,
            )
        self._bytes[client] += size

    @property
    def clients(self) -> int:
        """Number of clients with an upload in progress."""
        return len(self._uploads)


class CountedUpload:
    """One upload in progress. size: the declared or the received number of bytes, whichever is larger."""

    def __init__(self, counts: ConcurrentUploads, client: str) -> None:
        self._counts = counts
        self._client = client
        self.size = 0

    def grow_to(self, size: int) -> None:
        """Set the number of bytes received so far. Raises TooManyUploads."""
        if size > self.size:
            self._counts.add(self._client, size - self.size)
            self.size = size
