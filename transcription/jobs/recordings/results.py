"""Transcripts of long recordings, as files in the recording store, because Redis holds all its data in memory."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import structlog

from transcription.core.errors import RecordingLost, RecordingsUnavailable, ResultUnavailable, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.job import Recording
from transcription.jobs.policy import LEASE_SECONDS
from transcription.jobs.recordings.base import RESULT_SUFFIX, RecordingStore
from transcription.media.intake.upload import Destination, Upload

# For one file, seconds. Shorter than the lease of a job whose transcript is stored, and than the patience of a client
# whose answer waits for it. An hour of speech is some 100 kB.
TRANSFER_SECONDS = LEASE_SECONDS * 0.8

log = structlog.get_logger(__name__)


class ResultFiles:
    """Compressed transcripts in the recording store. The caller keeps the `Recording` of each."""

    def __init__(self, recordings: RecordingStore, settings: Settings) -> None:
        self._recordings = recordings
        self._settings = settings

    def is_large(self, packed: bytes) -> bool:
        """Whether a transcript is too large for Redis."""
        return len(packed) > self._settings.max_result_in_redis

    async def keep(self, packed: bytes) -> Recording | None:
        """Store a transcript durably. None for one that is small enough for Redis. Raises ServiceUnavailable."""
        if not self.is_large(packed):
            return None
        bounded = self._settings.model_copy(update={"max_file_size": len(packed)})
        async with _in_time():
            with Destination(bounded) as destination:
                await destination.reserve(len(packed))
                await destination.write(packed)
                await destination.flush()
                return await self._recordings.keep(destination.upload("", ""), f"{uuid.uuid4()}{RESULT_SUFFIX}")

    async def read(self, file: Recording) -> bytes:
        """The transcript. Raises ResultUnavailable, and ValueError for a name that no file has.

        A file that is missing or damaged here may be intact elsewhere, such as where a folder is mounted.
        """
        try:
            async with _in_time(), self._recordings.borrowed(file) as upload:
                return await asyncio.to_thread(_content, upload, file)
        except (RecordingLost, ServiceUnavailable, OSError) as error:
            reason = " ".join(filter(None, (str(error), getattr(error, "detail", ""))))
            log.error("result_not_read", file=file.name, reason=reason)
            raise ResultUnavailable(
                "The file of the transcript is missing from the recording store, damaged, or cannot be read now. Try "
                "again in a moment; if the error persists, have the operator check that SPOOL_URL is the same store on "
                "all machines. If the file is lost, retry the job.",
                f"{file.name}: {reason}",
            ) from error

    async def remove(self, names: Collection[str]) -> None:
        """Delete files, as `RecordingStore.remove`. What takes too long is left to `RecordingStore.sweep`."""
        try:
            async with asyncio.timeout(TRANSFER_SECONDS):
                await asyncio.gather(*map(self._recordings.remove, names))
        except TimeoutError:
            log.warning("files_not_removed", names=sorted(names), reason=f"It took longer than {TRANSFER_SECONDS:g} s.")


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(TRANSFER_SECONDS) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise RecordingsUnavailable(
            "The recording store is too slow. Try again in a moment; if the error persists, tell the operator.",
            f"A transcript took longer than {TRANSFER_SECONDS:g} s.",
        ) from error


def _content(upload: Upload, file: Recording) -> bytes:
    with upload.reader() as opened:
        content = opened.read()
    if hashlib.sha256(content).hexdigest() != file.sha256:  # a folder lends the file itself, unchecked
        raise OSError(errno.EIO, "The file is damaged: it has another SHA-256 than was kept")
    return content
