"""Recordings in an object store, through fsspec.

fsspec's calls block, so they run in a thread pool of their own: a store that hangs cannot occupy the threads that write
uploads.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import fsspec
import structlog
from fsspec.asyn import sync_wrapper

from transcription.core.errors import RecordingsUnavailable, ServiceUnavailable, TranscriptionError
from transcription.core.settings import InvalidSettings, Settings
from transcription.jobs.job import Recording
from transcription.jobs.recordings.base import (
    CLEANUP,
    COPY_BYTES,
    OWN_NAME,
    RESULT_SUFFIX,
    checked_name,
    local_copy,
    recording_lost,
)
from transcription.media.intake.upload import Upload
from transcription.telemetry.background import going_on

PART_BYTES = 5 * 1024 * 1024  # of a multipart upload: the least that S3 accepts; its most, 10,000 parts, is 48 GiB
CHUNK_BYTES = 2 * 1024 * 1024  # of one range request, which the driver repeats when the connection breaks
THREADS = 8  # concurrent calls; others wait
SWEPT_AT_ONCE = 4  # concurrent deletions, which leave half of the threads to transfers
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0  # without a byte of the response
STALL_SECONDS = 120.0  # without a part or chunk, on top of the driver's own limits
S3_PROTOCOLS = ("s3", "s3a")
S3_ATTEMPTS, S3FS_ATTEMPTS = 2, 2  # s3fs retries what botocore has retried: four attempts in all
TIME_KEYS = ("LastModified", "last_modified", "updated", "mtime", "created")  # the modification time, by driver
CREDENTIALS = re.compile(r"//[^/@\s]*@")

T = TypeVar("T")

log = structlog.get_logger(__name__)


def open_object_store(settings: Settings, read_seconds: float = READ_SECONDS) -> ObjectStore:
    """The recording store at SPOOL_URL, not connected yet. Raises InvalidSettings."""
    url = settings.spool_url
    protocol = url.partition("://")[0]
    if _has_password(url) or "::" in url:
        raise _invalid("give a plain URL without credentials; the drivers read them from the environment")
    try:
        driver = fsspec.get_filesystem_class(protocol)
        if protocol in S3_PROTOCOLS:
            driver = _bounded(driver, S3_ATTEMPTS * S3FS_ATTEMPTS * read_seconds)
        options = {**driver._get_kwargs_from_urls(url), **_options(protocol, read_seconds)}
        filesystem = driver(skip_instance_cache=True, use_listings_cache=False, **options)
        root = driver._strip_protocol(url)
    except ImportError as error:
        raise _invalid(f"the driver of '{protocol}' is not installed. {error}") from None
    except ValueError as error:
        known = protocol in fsspec.available_protocols()
        raise _invalid(str(error) if known else f"no driver is known for '{protocol}'. Use s3://BUCKET/PATH") from None
    if protocol == "memory" or not root.strip("/"):
        raise _invalid("name a persistent store and a path in it, such as s3://BUCKET/PATH")
    return ObjectStore(filesystem, root.rstrip("/"), settings)


class ObjectStore:
    """Objects under one prefix, which must be this service's alone: `sweep` deletes what its jobs do not refer to."""

    def __init__(self, filesystem: Any, root: str, settings: Settings, stall_seconds: float = STALL_SECONDS) -> None:
        """filesystem: of fsspec, without caches. root: bucket and prefix in the notation of its driver."""
        self._fs = filesystem
        self._root = root
        self._settings = settings
        self._stall_seconds = stall_seconds
        self._threads = ThreadPoolExecutor(THREADS, "recordings")

    async def keep(self, upload: Upload, name: str) -> Recording:
        """As `RecordingStore.keep`. Uploaded in parts; a failed or cancelled upload leaves nothing behind."""
        key = self._key(name)
        sending = _Sending(self._fs, upload, key)
        try:
            await self._call(sending.run, sending)
            size = (await self._call(partial(self._fs.info, key)))["size"]
        except FileNotFoundError as error:
            raise self._unusable(error) from error
        if size != upload.size:
            await self.remove(name)
            raise ServiceUnavailable(
                "The recording store did not keep the whole file. Try again in a moment.",
                f"{size} of {upload.size} bytes are there.",
            )
        await asyncio.to_thread(upload.path.unlink, missing_ok=True)
        return Recording(name, upload.sha256, upload.size, upload.filename, upload.content_type)

    @asynccontextmanager
    async def borrowed(self, recording: Recording) -> AsyncIterator[Upload]:
        """As `RecordingStore.borrowed`: a copy under TEMP_DIR, with its size and digest checked."""
        async with (
            aclosing(self._chunks(recording)) as chunks,
            local_copy(recording, chunks, self._settings) as upload,
        ):
            yield upload

    async def remove(self, name: str) -> None:
        """As `RecordingStore.remove`."""
        try:
            await self._delete(self._key(name))
        except ServiceUnavailable as error:
            kind = "result" if name.endswith(RESULT_SUFFIX) else "recording"
            log.warning("file_not_removed", kind=kind, name=name, reason=error.message, detail=error.detail)

    async def sweep(self, in_use: frozenset[str], grace_seconds: float) -> int:
        """As `RecordingStore.sweep`: one listing, and one request per file.

        Not by S3's bulk deletion, for which servers demand a Content-MD5 that botocore no longer sends.
        """
        try:
            found = await self._call(partial(self._fs.ls, self._root, detail=True))
        except FileNotFoundError:
            return 0  # nothing was stored yet
        now = time.time()
        unused = [
            entry["name"] for entry in found if self._is_orphan(entry, in_use) and _age(entry, now) > grace_seconds
        ]
        removed = 0
        for start in range(0, len(unused), SWEPT_AT_ONCE):
            removed += sum(await asyncio.gather(*map(self._swept, unused[start : start + SWEPT_AT_ONCE])))
        return removed

    async def check(self) -> None:
        """As `RecordingStore.check`."""
        key, content = self._key(str(uuid4())), b"check"
        try:
            await self._call(partial(self._fs.pipe_file, key, content))
            found = await self._call(partial(self._fs.cat_file, key, start=0, end=len(content)))
            await self._call(partial(self._fs.rm_file, key))
        except FileNotFoundError as error:
            raise self._unusable(error) from error
        if found != content:
            raise ServiceUnavailable("The recording store returns other data than was written. Check SPOOL_URL.")

    async def _chunks(self, recording: Recording) -> AsyncGenerator[bytes, None]:
        """Ranges in order. The driver repeats a range that fails half-way. Raises as `borrowed`."""
        key = self._key(recording.name)
        try:
            await self._call(partial(self._fs.info, key))  # an empty file is not read at all
            for start in range(0, recording.size, CHUNK_BYTES):
                end = min(start + CHUNK_BYTES, recording.size)
                yield await self._call(partial(self._fs.cat_file, key, start=start, end=end))
        except FileNotFoundError as error:
            if not await self._call(partial(self._fs.exists, self._root.split("/", 1)[0])):
                raise self._unusable(error) from error
            raise recording_lost() from None

    async def _swept(self, key: str) -> bool:
        """Whether the object was deleted."""
        with going_on(CLEANUP, file=key.rsplit("/", 1)[-1]):
            await self._delete(key)
            return True
        return False

    async def _delete(self, key: str) -> None:
        with suppress(FileNotFoundError):  # other processes delete, too
            await self._call(partial(self._fs.rm_file, key))

    def _is_orphan(self, entry: Mapping[str, Any], in_use: frozenset[str]) -> bool:
        name = str(entry["name"]).rsplit("/", 1)[-1]
        return entry["type"] == "file" and OWN_NAME.fullmatch(name) is not None and name not in in_use

    async def _call(self, work: Callable[[], T], sending: _Sending | None = None) -> T:
        """Run `work` in a thread. Raises FileNotFoundError, and ServiceUnavailable for any other error of the driver.

        A thread cannot be stopped: one that exceeds the time is left to the limits of its driver.
        """
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        parts = -1
        try:
            while not (await asyncio.wait({future}, timeout=self._stall_seconds))[0]:
                if sending is None or sending.parts == parts:
                    raise TimeoutError(f"No progress for {self._stall_seconds:g} s")
                parts = sending.parts
            return future.result()
        except (FileNotFoundError, TranscriptionError):
            raise
        except Exception as error:  # drivers raise errors of many libraries, and nothing else is called here
            raise self._unusable(error) from error
        finally:
            future.cancel()
            if sending is not None:
                sending.stopped = True

    def _key(self, name: str) -> str:
        return f"{self._root}/{checked_name(name)}"

    def _unusable(self, error: Exception) -> RecordingsUnavailable:
        reason = CREDENTIALS.sub("//...@", str(error))[:300]
        detail = f"{type(error).__name__}: {reason}"
        if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
            return RecordingsUnavailable(
                "The recording store denies access. Have the operator check its credentials (for S3 "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) and their permissions for SPOOL_URL.",
                detail,
            )
        if isinstance(error, FileNotFoundError):
            return RecordingsUnavailable(
                "The bucket of SPOOL_URL does not exist in the recording store. Have the operator create the "
                "bucket, or correct SPOOL_URL.",
                detail,
            )
        return RecordingsUnavailable(
            "The recording store cannot be reached. Try again in a moment; if the error persists, have the "
            "operator check SPOOL_URL and the address of the store (for S3 AWS_ENDPOINT_URL).",
            detail,
        )


class _Sending:
    """One upload, in a thread. parts: sent so far. stopped: set when the upload is cancelled."""

    def __init__(self, filesystem: Any, upload: Upload, key: str) -> None:
        self._fs = filesystem
        self._upload = upload
        self._key = key
        self.parts = 0
        self.stopped = False

    def run(self) -> None:
        """Send the file. Raises the driver's errors; the store then has nothing, or an object that `sweep` deletes."""
        with self._upload.reader() as source:
            if self._upload.size < PART_BYTES:
                self._fs.pipe_file(self._key, source.read())
                return
            sink = self._fs.open(self._key, "wb", block_size=PART_BYTES, autocommit=False)
            try:
                while block := source.read(COPY_BYTES):
                    if self.stopped:
                        raise InterruptedError("The upload was cancelled")
                    sink.write(block)
                    self.parts += 1
                sink.close()
                sink.commit()
            except BaseException:
                with suppress(Exception):  # the first error is raised; the store expires incomplete uploads
                    sink.discard()
                sink.closed = True  # or it would send the rest when it is garbage-collected
                raise


def _bounded(driver: Any, seconds: float) -> Any:
    """The S3 driver with a time limit for each call including its retries.

    botocore announces a body with "Expect: 100-continue" and waits for the response without a limit.
    """

    class BoundedS3(driver):  # type: ignore[misc]  # fsspec has no types
        retries = S3FS_ATTEMPTS

        async def _call_s3(self, *args: Any, **kwargs: Any) -> Any:
            async with asyncio.timeout(seconds):
                return await super()._call_s3(*args, **kwargs)

        call_s3 = sync_wrapper(_call_s3)

    return BoundedS3


def _options(protocol: str, read_seconds: float) -> dict[str, Any]:
    """Time limits and retries for the driver, if it is known how to pass them."""
    if protocol not in S3_PROTOCOLS:
        return {}
    retries = {"total_max_attempts": S3_ATTEMPTS, "mode": "standard"}
    return {
        "config_kwargs": {"connect_timeout": CONNECT_SECONDS, "read_timeout": read_seconds, "retries": retries},
    }


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return True  # cannot be parsed, so it must not be shown
    return parts.password is not None


def _invalid(problem: str) -> InvalidSettings:
    """The error for an invalid SPOOL_URL. It does not contain the URL, which may contain a secret in any place."""
    return InvalidSettings(f"Invalid settings:\n  SPOOL_URL: {problem}")


def _age(entry: Mapping[str, Any], now: float) -> float:
    """Seconds since an object was written, by the store's clock; 0 if the store does not report it."""
    written = next((entry[key] for key in TIME_KEYS if entry.get(key)), None)
    if isinstance(written, datetime):
        written = written.timestamp()
    # The absolute age, so that objects from before a clock was set back are deleted, too.
    return abs(now - written) if isinstance(written, int | float) else 0.0
