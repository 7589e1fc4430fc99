"""The files of accepted jobs in an object store, by way of fsspec.

fsspec's calls wait, so they are made in threads of our own: no store that hangs can take those that write uploads.
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
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import fsspec
import structlog
from fsspec.asyn import sync_wrapper

from transcription.core.errors import ServiceUnavailable, TranscriptionError
from transcription.core.settings import InvalidSettings, Settings
from transcription.jobs.job import Recording
from transcription.jobs.recordings.folder import COPY_BYTES, JOB_NAME, checked_name, local_copy, recording_lost
from transcription.media.intake.upload import Upload

PART_BYTES = 5 * 1024 * 1024  # of a multipart upload: S3's least, and 10,000 of them are 48 GiB
CHUNK_BYTES = 2 * 1024 * 1024  # asked for at once, and asked for again when the connection breaks
THREADS = 8  # calls at once; others wait
SWEPT_AT_ONCE = 4  # files; half of the threads are left to those who wait for a recording
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0  # without a byte of an answer
STALL_SECONDS = 120.0  # without a part or a chunk, whatever the driver's own limits are
S3_PROTOCOLS = ("s3", "s3a")
S3_ATTEMPTS, S3FS_ATTEMPTS = 2, 2  # the driver repeats what botocore has repeated: four in all
TIME_KEYS = ("LastModified", "last_modified", "updated", "mtime", "created")  # what drivers call it
CREDENTIALS = re.compile(r"//[^/@\s]*@")

T = TypeVar("T")

log = structlog.get_logger(__name__)


def open_object_spool(settings: Settings, read_seconds: float = READ_SECONDS) -> ObjectSpool:
    """The spool under SPOOL_URL. Nothing is connected to yet. Raises InvalidSettings."""
    url = settings.spool_url
    protocol = url.partition("://")[0]
    if _has_password(url) or "::" in url:
        raise _invalid("give a plain URL without credentials; drivers read those from the environment")
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
        raise _invalid("name a store that outlives the process, and a place in it, such as s3://BUCKET/PATH")
    return ObjectSpool(filesystem, root.rstrip("/"), settings)


class ObjectSpool:
    """Objects under one prefix, which is this service's alone: `sweep` deletes what no job of ours names."""

    def __init__(self, filesystem: Any, root: str, settings: Settings, stall_seconds: float = STALL_SECONDS) -> None:
        """filesystem: fsspec's, without caches. root: bucket and prefix as its driver wants them."""
        self._fs = filesystem
        self._root = root
        self._settings = settings
        self._stall_seconds = stall_seconds
        self._threads = ThreadPoolExecutor(THREADS, "spool")

    async def keep(self, upload: Upload, name: str) -> Recording:
        """As `Spool.keep`. Uploaded part by part; a failed or abandoned upload leaves nothing."""
        key = self._key(name)
        sending = _Sending(self._fs, upload.path, key)
        try:
            await self._call(sending.run, sending)
            size = (await self._call(partial(self._fs.info, key)))["size"]
        except FileNotFoundError as error:
            raise self._unusable(error) from error
        if size != upload.size:
            await self.remove(name)
            raise ServiceUnavailable(
                "The store of recordings did not keep the whole file. Try again in a moment.",
                f"{size} bytes of {upload.size} are there.",
            )
        await asyncio.to_thread(upload.path.unlink, missing_ok=True)
        return Recording(name, upload.sha256, upload.size, upload.filename, upload.content_type)

    @asynccontextmanager
    async def borrowed(self, recording: Recording) -> AsyncIterator[Upload]:
        """As `Spool.borrowed`: a copy under TEMP_DIR, checked by its size and its digest."""
        async with (
            aclosing(self._chunks(recording)) as chunks,
            local_copy(recording, chunks, self._settings) as upload,
        ):
            yield upload

    async def remove(self, name: str) -> None:
        """As `Spool.remove`."""
        try:
            await self._delete(self._key(name))
        except ServiceUnavailable as error:
            log.warning("recording_not_removed", name=name, reason=error.message, detail=error.detail)

    async def sweep(self, in_use: frozenset[str], grace_seconds: float) -> int:
        """As `Spool.sweep`: one listing, and a request for each file.

        Not S3's bulk deletion: servers ask for a Content-MD5 with it, which its client does not send any more.
        """
        try:
            found = await self._call(partial(self._fs.ls, self._root, detail=True))
        except FileNotFoundError:
            return 0  # nothing was ever kept
        now = time.time()
        unused = [entry["name"] for entry in found if self._is_left(entry, in_use) and _age(entry, now) > grace_seconds]
        for start in range(0, len(unused), SWEPT_AT_ONCE):
            await asyncio.gather(*map(self._delete, unused[start : start + SWEPT_AT_ONCE]))
        return len(unused)

    async def check(self) -> None:
        """As `Spool.check`."""
        key, content = self._key(str(uuid4())), b"check"
        try:
            await self._call(partial(self._fs.pipe_file, key, content))
            found = await self._call(partial(self._fs.cat_file, key, start=0, end=len(content)))
            await self._call(partial(self._fs.rm_file, key))
        except FileNotFoundError as error:
            raise self._unusable(error) from error
        if found != content:
            raise ServiceUnavailable("The store of recordings returns what was not written to it. Check SPOOL_URL.")

    async def _chunks(self, recording: Recording) -> AsyncGenerator[bytes, None]:
        """Ranges in order. A range that fails half-way is asked for again by the driver. Raises as `borrowed`."""
        key = self._key(recording.name)
        try:
            await self._call(partial(self._fs.info, key))  # for an empty file, of which nothing is read
            for start in range(0, recording.size, CHUNK_BYTES):
                end = min(start + CHUNK_BYTES, recording.size)
                yield await self._call(partial(self._fs.cat_file, key, start=start, end=end))
        except FileNotFoundError as error:
            if not await self._call(partial(self._fs.exists, self._root.split("/", 1)[0])):
                raise self._unusable(error) from error
            raise recording_lost() from None

    async def _delete(self, key: str) -> None:
        with suppress(FileNotFoundError):  # others delete, too
            await self._call(partial(self._fs.rm_file, key))

    def _is_left(self, entry: Mapping[str, Any], in_use: frozenset[str]) -> bool:
        name = str(entry["name"]).rsplit("/", 1)[-1]
        return entry["type"] == "file" and JOB_NAME.fullmatch(name) is not None and name not in in_use

    async def _call(self, work: Callable[[], T], sending: _Sending | None = None) -> T:
        """What the driver returns. Raises FileNotFoundError, and ServiceUnavailable for whatever else it raises.

        A thread cannot be stopped: one that does not end in time is left to the limits of its driver.
        """
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        parts = -1
        try:
            while not (await asyncio.wait({future}, timeout=self._stall_seconds))[0]:
                if sending is None or sending.parts == parts:
                    raise TimeoutError(f"Nothing moved for {self._stall_seconds:g} s")
                parts = sending.parts
            return future.result()
        except (FileNotFoundError, TranscriptionError):
            raise
        except Exception as error:  # drivers raise what their libraries do; they are the only ones called here
            raise self._unusable(error) from error
        finally:
            future.cancel()
            if sending is not None:
                sending.stopped = True

    def _key(self, name: str) -> str:
        return f"{self._root}/{checked_name(name)}"

    def _unusable(self, error: Exception) -> ServiceUnavailable:
        reason = CREDENTIALS.sub("//...@", str(error))[:300]
        detail = f"{type(error).__name__}: {reason}"
        if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
            return ServiceUnavailable(
                "The store of recordings denies access. Have the operator check its credentials (for S3 "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) and what they may do under SPOOL_URL.",
                detail,
            )
        if isinstance(error, FileNotFoundError):
            return ServiceUnavailable(
                "The place that SPOOL_URL names is not in the store of recordings. Have the operator create the "
                "bucket, or correct SPOOL_URL.",
                detail,
            )
        return ServiceUnavailable(
            "The store of recordings cannot be reached. Try again in a moment; if it stays, have the operator check "
            "SPOOL_URL and the address of the store (for S3 AWS_ENDPOINT_URL).",
            detail,
        )


class _Sending:
    """One upload, in a thread. parts: sent so far. stopped: nobody waits any more."""

    def __init__(self, filesystem: Any, path: Path, key: str) -> None:
        self._fs = filesystem
        self._path = path
        self._key = key
        self.parts = 0
        self.stopped = False

    def run(self) -> None:
        """Raises what the driver raises; then the store has nothing, or what `sweep` finds."""
        if self._path.stat().st_size < PART_BYTES:
            self._fs.pipe_file(self._key, self._path.read_bytes())
            return
        with self._path.open("rb", buffering=0) as source:
            sink = self._fs.open(self._key, "wb", block_size=PART_BYTES, autocommit=False)
            try:
                while block := source.read(COPY_BYTES):
                    if self.stopped:
                        raise InterruptedError("Nobody waits for this upload any more")
                    sink.write(block)
                    self.parts += 1
                sink.close()
                sink.commit()
            except BaseException:
                with suppress(Exception):  # the first error counts, and parts without an end are the store's to expire
                    sink.discard()
                sink.closed = True  # or it would send the rest when it is forgotten
                raise


def _bounded(driver: Any, seconds: float) -> Any:
    """The driver for S3, with a limit for each call and all its repetitions.

    A body is announced with "Expect: 100-continue", and its client waits for that answer without any limit.
    """

    class BoundedS3(driver):  # type: ignore[misc]  # fsspec has no types
        retries = S3FS_ATTEMPTS

        async def _call_s3(self, *args: Any, **kwargs: Any) -> Any:
            async with asyncio.timeout(seconds):
                return await super()._call_s3(*args, **kwargs)

        call_s3 = sync_wrapper(_call_s3)

    return BoundedS3


def _options(protocol: str, read_seconds: float) -> dict[str, Any]:
    """For the driver: limits, where we know how it takes them."""
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
        return True  # it cannot be read, and must not be shown
    return parts.password is not None


def _invalid(problem: str) -> InvalidSettings:
    """The URL itself is not shown: it may hold a secret all the same."""
    return InvalidSettings(f"Invalid settings:\n  SPOOL_URL: {problem}")


def _age(entry: Mapping[str, Any], now: float) -> float:
    """Seconds since an object was written, by the store's clock; 0 when the store does not say."""
    written = next((entry[key] for key in TIME_KEYS if entry.get(key)), None)
    if isinstance(written, datetime):
        written = written.timestamp()
    # Absolute, so that objects from before a clock was set back do not stay for ever.
    return abs(now - written) if isinstance(written, int | float) else 0.0
