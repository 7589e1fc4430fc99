"""The storage of jobs' recordings: the interface, and helpers for every implementation."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from transcription.core.errors import FileTooLarge, RecordingLost, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.job import Recording
from transcription.media.intake.upload import Destination, Upload

CLEANUP = "cleanup"  # name of the background task that sweeps
COPY_BYTES = 1024 * 1024  # read and written at once between file systems
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
RESULT_SUFFIX = ".result"
# Recordings have the id of their job, a UUID. Large results have a UUID and a suffix, so that a version of the service
# that does not know them leaves them alone.
OWN_NAME = re.compile(rf"[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}({re.escape(RESULT_SUFFIX)})?")


class RecordingStore(Protocol):
    """Keeps recordings until no job needs them. Their names are chosen by this service: single path components."""

    async def keep(self, upload: Upload, name: str) -> Recording:
        """Store an upload durably, and remove or rename its file.

        Raises ServiceUnavailable, in which case the upload stays where it is.
        """
        ...

    def borrowed(self, recording: Recording) -> AbstractAsyncContextManager[Upload]:
        """The file on this machine's disk for the duration of the context.

        Raises RecordingLost when it is gone for good, ServiceUnavailable when a later attempt may succeed.
        """
        ...

    async def remove(self, name: str) -> None:
        """Delete a file if it exists. One that cannot be reached now is left to `sweep`."""
        ...

    async def sweep(self, in_use: frozenset[str], grace_seconds: float) -> int:
        """Delete the files that no job refers to, and return their number.

        in_use: names. grace_seconds: younger files stay, because their job may be about to be stored. Files whose
        names this service does not give belong to others and stay, too. Raises ServiceUnavailable.
        """
        ...

    async def check(self) -> None:
        """Write, read and delete a file. Raises ServiceUnavailable with the remedy in its message."""
        ...


def checked_name(name: str) -> str:
    """The name itself. Raises ValueError for one that could be a path to another folder."""
    if not NAME.fullmatch(name):
        raise ValueError(f"'{name}' is not the name of a recording.")
    return name


@asynccontextmanager
async def local_copy(recording: Recording, chunks: AsyncIterator[bytes], settings: Settings) -> AsyncIterator[Upload]:
    """The chunks as a file under TEMP_DIR, which is locked like an upload and deleted at the end of the context.

    At most `recording.size` bytes are written. Raises ServiceUnavailable unless size and digest are the recording's.
    """
    bounded = settings.model_copy(update={"max_file_size": recording.size})
    with Destination(bounded) as destination:
        await destination.reserve(recording.size)
        try:
            async for chunk in chunks:
                await destination.write(chunk)
        except FileTooLarge:
            raise _damaged(recording, f"more than {recording.size} bytes") from None
        await destination.flush()
        upload = destination.upload(recording.filename, recording.content_type)
        if (upload.size, upload.sha256) != (recording.size, recording.sha256):
            raise _damaged(recording, f"{upload.size} bytes, SHA-256 {upload.sha256}")
        yield upload


def recording_lost() -> RecordingLost:
    """The error for a file that is no longer in the recording store."""
    return RecordingLost("The recording of the job is gone from the recording store. Submit it again.")


def _damaged(recording: Recording, found: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        "The recording did not come back from the store as it was kept. It is tried again.",
        f"Found {found}; kept were {recording.size} bytes, SHA-256 {recording.sha256}.",
    )
