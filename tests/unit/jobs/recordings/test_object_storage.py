"""Accepted files are kept in an object store, which is a server of its own here."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.s3_server import S3Server, s3_server
from tests.support.service import free_port
from tests.unit.jobs.recordings.contract import (
    LEFT,
    NEEDED,
    NO_GRACE,
    SOUND,
    CopyContract,
    Names,
    SpoolContract,
    arrived,
    content_of,
)
from transcription.core.errors import RecordingLost, ServiceUnavailable
from transcription.core.settings import InvalidSettings, Settings
from transcription.jobs.job import Recording
from transcription.jobs.recordings.folder import Spool, open_spool
from transcription.jobs.recordings.object_storage import ObjectSpool, open_object_spool

READ_SECONDS = 0.5
MIB = 1024 * 1024


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Have drivers find a server, in the environment and nowhere else."""

    def make(environment: dict[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return make


@pytest.fixture
def bucket(s3: S3Server, connect: Callable[[dict[str, str]], None]) -> str:
    """An empty bucket on the server that drivers find."""
    name = f"bucket-{uuid.uuid4().hex}"
    s3.make_bucket(name)
    connect(s3.environment)
    return name


@pytest.fixture
def spool(bucket: str, settings: Settings) -> Spool:
    settings.spool_url = f"s3://{bucket}/some/recordings/"
    return open_spool(settings)


@pytest.fixture
def names(s3: S3Server, bucket: str) -> Names:
    return lambda: [key.removeprefix("some/recordings/") for key in s3.keys(bucket)]


def recording_of(content: bytes) -> Recording:
    return Recording(NEEDED, "0" * 64, len(content))


def reason_of(spool: Spool, settings: Settings) -> ServiceUnavailable:
    """Why nothing can be done with a spool, whatever is tried."""
    upload = arrived(settings.temp_dir)
    with pytest.raises(ServiceUnavailable):
        asyncio.run(spool.keep(upload, NEEDED))
    assert upload.path.read_bytes() == SOUND
    with pytest.raises(ServiceUnavailable):
        asyncio.run(content_of(spool, recording_of(SOUND)))
    assert list(settings.temp_dir.iterdir()) == [upload.path]
    with pytest.raises(ServiceUnavailable) as caught:
        asyncio.run(spool.check())
    return caught.value


class TestObjectSpool(SpoolContract, CopyContract):
    pass


def test_a_whole_bucket_may_be_the_spool(settings: Settings, s3: S3Server, bucket: str) -> None:
    settings.spool_url = f"s3://{bucket}"
    spool = open_spool(settings)
    recording = asyncio.run(spool.keep(arrived(settings.temp_dir), NEEDED))
    assert s3.keys(bucket) == [NEEDED]
    assert asyncio.run(content_of(spool, recording)) == SOUND
    assert asyncio.run(spool.sweep(frozenset(), NO_GRACE)) == 1


def test_a_recording_that_was_overwritten_is_asked_for_again(
    spool: Spool, settings: Settings, s3: S3Server, bucket: str
) -> None:
    recording = asyncio.run(spool.keep(arrived(settings.temp_dir), NEEDED))
    s3.put(bucket, f"some/recordings/{NEEDED}", SOUND[::-1])
    with pytest.raises(ServiceUnavailable, match="did not come back"):
        asyncio.run(content_of(spool, recording))
    assert not list(settings.temp_dir.iterdir())


def test_a_cancelled_upload_leaves_nothing_in_the_store(
    spool: Spool, settings: Settings, s3: S3Server, bucket: str
) -> None:
    upload = arrived(settings.temp_dir, bytes(128 * MIB))

    async def keep_and_cancel() -> None:
        keeping = asyncio.create_task(spool.keep(upload, NEEDED))
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(s3.unfinished, bucket):
                assert not keeping.done()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        assert keeping.cancelled()
        async with asyncio.timeout(60):
            while await asyncio.to_thread(s3.unfinished, bucket):
                await asyncio.sleep(0.1)

    asyncio.run(keep_and_cancel())
    assert s3.keys(bucket) == []
    assert upload.path.stat().st_size == 128 * MIB


def test_a_sweep_looks_into_no_other_folder(spool: Spool, s3: S3Server, bucket: str) -> None:
    others = [LEFT, f"some/recordings/deeper/{LEFT}", f"some/recordings-of-others/{LEFT}"]
    for key in others:
        s3.put(bucket, key, SOUND)
    assert asyncio.run(spool.sweep(frozenset(), NO_GRACE)) == 0
    assert s3.keys(bucket) == sorted(others)


def test_a_sweep_takes_more_than_one_answer_lists(spool: Spool, s3: S3Server, bucket: str, names: Names) -> None:
    kept = [str(uuid.UUID(int=number)) for number in range(43)]
    for name in kept:
        s3.put(bucket, f"some/recordings/{name}", b"")
    assert asyncio.run(spool.sweep(frozenset(kept[:3]), NO_GRACE)) == 40
    assert names() == kept[:3]


def test_the_event_loop_is_free_meanwhile(spool: Spool, settings: Settings) -> None:
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)

    async def keep_and_borrow() -> None:
        ticking = asyncio.create_task(tick())
        recording = await spool.keep(arrived(settings.temp_dir, bytes(32 * MIB)), NEEDED)
        async with spool.borrowed(recording):
            ticking.cancel()

    asyncio.run(keep_and_borrow())
    assert 0.0 < longest < 1.0


def test_a_bucket_that_is_not_there_is_told_with_its_remedy(spool: Spool, settings: Settings) -> None:
    settings.spool_url = "s3://no-such-bucket/recordings"
    assert "create the bucket" in reason_of(open_spool(settings), settings).message


def test_a_store_that_denies_access_is_told_with_its_remedy(
    s3: S3Server, bucket: str, settings: Settings, connect: Callable[[dict[str, str]], None]
) -> None:
    connect({**s3.environment, "AWS_SECRET_ACCESS_KEY": "another"})
    settings.spool_url = f"s3://{bucket}/recordings"
    assert "denies access" in reason_of(open_spool(settings), settings).message


def test_missing_credentials_are_told_with_their_remedy(
    s3: S3Server, bucket: str, settings: Settings, connect: Callable[[dict[str, str]], None], tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nowhere")
    connect(
        {
            "AWS_ENDPOINT_URL": s3.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_CONFIG_FILE": nowhere,
        }
    )
    settings.spool_url = f"s3://{bucket}"
    assert "AWS_ACCESS_KEY_ID" in reason_of(open_spool(settings), settings).message


def test_a_store_that_is_gone_is_told_with_its_remedy(
    s3: S3Server, settings: Settings, connect: Callable[[dict[str, str]], None]
) -> None:
    connect({**s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"})
    settings.spool_url = "s3://bucket/recordings"
    assert "AWS_ENDPOINT_URL" in reason_of(open_spool(settings), settings).message


def test_nobody_waits_for_ever_for_a_store_that_never_answers(
    s3: S3Server, settings: Settings, connect: Callable[[dict[str, str]], None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connect({**s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        settings.spool_url = "s3://bucket/recordings"
        spool = open_object_spool(settings, READ_SECONDS)
        before = time.monotonic()
        assert "cannot be reached" in reason_of(spool, settings).message
    assert time.monotonic() - before < 60


def test_a_driver_without_limits_is_given_up_all_the_same(settings: Settings) -> None:
    class Hanging:
        def pipe_file(self, *_: object) -> None:
            time.sleep(1.0)

    spool = ObjectSpool(Hanging(), "bucket", settings, stall_seconds=0.1)
    before = time.monotonic()
    with pytest.raises(ServiceUnavailable) as caught:
        asyncio.run(spool.check())
    assert time.monotonic() - before < 0.9
    assert "Nothing moved" in caught.value.detail


def test_a_recording_that_cannot_be_removed_now_is_left_to_the_sweep(
    s3: S3Server, settings: Settings, connect: Callable[[dict[str, str]], None]
) -> None:
    connect({**s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"})
    settings.spool_url = "s3://bucket/recordings"
    asyncio.run(open_spool(settings).remove(NEEDED))


def test_a_recording_that_was_never_kept_is_lost(spool: Spool) -> None:
    with pytest.raises(RecordingLost):
        asyncio.run(content_of(spool, recording_of(b"")))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nosuch://bucket/path", "no driver is known for 'nosuch'"),
        ("gdrive://folder/path", "is not installed"),
        ("memory://recordings", "outlives"),
        ("s3://", "a place in it"),
        ("simplecache::s3://bucket", "plain URL"),
        ("s3://key:verysecret@bucket/path", "without credentials"),
        ("s3://[bucket/path", "plain URL"),
    ],
)
def test_a_url_that_cannot_work_stops_the_start(settings: Settings, url: str, problem: str) -> None:
    settings.spool_url = url
    with pytest.raises(InvalidSettings, match=problem) as caught:
        open_spool(settings)
    assert "SPOOL_URL" in str(caught.value)
    assert "verysecret" not in str(caught.value)


def test_an_address_with_a_password_is_not_told(
    s3: S3Server, settings: Settings, connect: Callable[[dict[str, str]], None]
) -> None:
    connect({**s3.environment, "AWS_ENDPOINT_URL": f"http://user:verysecret@127.0.0.1:{free_port()}"})
    settings.spool_url = "s3://bucket/recordings"
    reason = reason_of(open_spool(settings), settings)
    assert "verysecret" not in reason.message + reason.detail
