"""How many uploads, and how many bytes of them, a client may have in progress at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from transcription.core.errors import TooManyUploads

RETRY_SECONDS = 5.0  # after which one of the client's own uploads may be done


class ConcurrentUploads:
    """Counts the uploads of each client that are being received or transcribed.

    max_uploads, max_bytes: the limits for one client.
    """

    def __init__(self, max_uploads: int, max_bytes: int) -> None:
        self._max_uploads = max_uploads
        self._max_bytes = max_bytes
        self._uploads: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    @contextmanager
    def upload(self, client: str, declared: int) -> Iterator[CountedUpload]:
        """Count an upload while the context lasts. declared: its size in bytes, 0 if unknown. Raises TooManyUploads."""
        if self._uploads[client] >= self._max_uploads:
            raise TooManyUploads(
                f"You have {self._uploads[client]} uploads at once, as many as are allowed. Wait for one to end.",
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
        """Add bytes to those of a client, or remove some. Raises TooManyUploads."""
        if size > 0 and self._bytes[client] + size > self._max_bytes:
            raise TooManyUploads(
                f"Your uploads have more than {self._max_bytes} bytes together. Send them one after the other.",
                retry_after=RETRY_SECONDS,
            )
        self._bytes[client] += size

    @property
    def clients(self) -> int:
        """Number of clients with an upload in progress."""
        return len(self._uploads)


class CountedUpload:
    """One upload in progress. size: bytes, declared or received so far, whichever is more."""

    def __init__(self, counts: ConcurrentUploads, client: str) -> None:
        self._counts = counts
        self._client = client
        self.size = 0

    def grow_to(self, size: int) -> None:
        """Count the bytes received so far. Raises TooManyUploads."""
        if size > self.size:
            self._counts.add(self._client, size - self.size)
            self.size = size
