"""Measures the transfer rate of a recording to an object store and back, and the memory it takes.

    python -m benchmarks.recordings [MIB]

The object store is the server of the tests, a separate process on this machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from tests.support.s3_server import s3_server
from transcription.core.settings import Settings
from transcription.jobs.recordings.base import RecordingStore
from transcription.jobs.recordings.open import open_recordings
from transcription.media.intake.upload import Upload

MIB = 1024 * 1024


def main(size: int) -> None:
    """size: of the recording, in MiB."""
    with s3_server() as server, tempfile.TemporaryDirectory() as folder:
        server.make_bucket("bucket")
        os.environ.update(server.environment)
        recordings = open_recordings(Settings(temp_dir=Path(folder), spool_url="s3://bucket/spool"))
        asyncio.run(measure(recordings, Path(folder) / "upload", size))


async def measure(recordings: RecordingStore, path: Path, size: int) -> None:
    """Send a recording, fetch it back, and print rates and memory. size: in MiB."""
    await recordings.check()  # connects, and imports the driver
    upload = make_upload(path, size)
    before, start = peak(), time.monotonic()
    recording = await recordings.keep(upload, str(uuid4()))
    sent, after_sending = time.monotonic(), peak()
    async with recordings.borrowed(recording):
        fetched = time.monotonic()
    print(f"{size} MiB up: {size / (sent - start):.0f} MiB/s, {after_sending - before:+.0f} MiB of peak memory")
    print(f"{size} MiB down: {size / (fetched - sent):.0f} MiB/s, {peak() - before:+.0f} MiB of peak memory")


def make_upload(path: Path, size: int) -> Upload:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(size):
            block = os.urandom(MIB)
            digest.update(block)
            file.write(block)
    return Upload(path, digest.hexdigest(), size * MIB)


def peak() -> float:
    """The peak resident memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 256)
