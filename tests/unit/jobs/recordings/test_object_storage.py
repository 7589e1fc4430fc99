"""Recordings in an object store: the contract of every recording store, and a server that fails."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.leftovers import files_under
from tests.support.s3_server import S3Server
from tests.support.service import free_port
from tests.unit.jobs.recordings.contract import (
    LEFT,
    NEEDED,
    NO_GRACE,
    SOUND,
    CopyContract,
    Names,
    RecordingStoreContract,
    arrived,
    content_of,
)
from transcription.core.errors import RecordingLost, ServiceUnavailable
from transcription.core.settings import InvalidSettings, Settings
from transcription.jobs.job import Recording
from transcription.jobs.recordings.base import RecordingStore
from transcription.jobs.recordings.object_storage import ObjectStore, open_object_store
from transcription.jobs.recordings.open import open_recordings

READ_SECONDS = 0.5
MIB = 1024 * 1024


@pytest.fixture
def recordings(bucket: str, settings: Settings) -> RecordingStore:
    settings.spool_url = f"s3://{bucket}/some/recordings/"
    return open_recordings(settings)


@pytest.fixture
def names(s3: S3Server, bucket: str) -> Names:
    return lambda: [key.removeprefix("some/recordings/") for key in s3.keys(bucket)]


def recording_of(content: bytes) -> Recording:
    return Recording(NEEDED, "0" * 64, len(content))


def reason_of(recordings: RecordingStore, settings: Settings) -> ServiceUnavailable:
    """The error that every operation of an unusable store raises."""
    upload = arrived(settings.temp_dir)
    with pytest.raises(ServiceUnavailable):
        asyncio.run(recordings.keep(upload, NEEDED))
    assert upload.path.read_bytes() == SOUND
    with pytest.raises(ServiceUnavailable):
        asyncio.run(content_of(recordings, recording_of(SOUND)))
    assert files_under(settings.temp_dir) == [upload.path]
    with pytest.raises(ServiceUnavailable) as caught:
        asyncio.run(recordings.check())
    return caught.value


class TestObjectStore(RecordingStoreContract, CopyContract):
    pass


def test_a_bucket_without_a_prefix_can_be_the_store(settings: Settings, s3: S3Server, bucket: str) -> None:
    settings.spool_url = f"s3://{bucket}"
    recordings = open_recordings(settings)
    recording = asyncio.run(recordings.keep(arrived(settings.temp_dir), NEEDED))
    assert s3.keys(bucket) == [NEEDED]
    assert asyncio.run(content_of(recordings, recording)) == SOUND
    assert asyncio.run(recordings.sweep(frozenset(), NO_GRACE)) == 1


def test_an_overwritten_recording_is_a_temporary_error(
    recordings: RecordingStore, settings: Settings, s3: S3Server, bucket: str
) -> None:
    recording = asyncio.run(recordings.keep(arrived(settings.temp_dir), NEEDED))
    s3.put(bucket, f"some/recordings/{NEEDED}", SOUND[::-1])
    with pytest.raises(ServiceUnavailable, match="did not come back"):
        asyncio.run(content_of(recordings, recording))
    assert not files_under(settings.temp_dir)


def test_a_cancelled_upload_leaves_nothing_in_the_store(
    recordings: RecordingStore, settings: Settings, s3: S3Server, bucket: str
) -> None:
    upload = arrived(settings.temp_dir, bytes(128 * MIB))

    async def keep_and_cancel() -> None:
        keeping = asyncio.create_task(recordings.keep(upload, NEEDED))
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


def test_a_sweep_does_not_touch_other_prefixes(recordings: RecordingStore, s3: S3Server, bucket: str) -> None:
    others = [LEFT, f"some/recordings/deeper/{LEFT}", f"some/recordings-of-others/{LEFT}"]
    for key in others:
        s3.put(bucket, key, SOUND)
    assert asyncio.run(recordings.sweep(frozenset(), NO_GRACE)) == 0
    assert s3.keys(bucket) == sorted(others)


def test_a_sweep_goes_beyond_the_first_page_of_a_listing(
    recordings: RecordingStore, s3: S3Server, bucket: str, names: Names
) -> None:
    kept = [str(uuid.UUID(int=number)) for number in range(43)]
    for name in kept:
        s3.put(bucket, f"some/recordings/{name}", b"")
    assert asyncio.run(recordings.sweep(frozenset(kept[:3]), NO_GRACE)) == 40
    assert names() == kept[:3]


def test_the_driver_never_runs_in_the_event_loop(
    recordings: ObjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers: dict[str, set[threading.Thread]] = {"open": set(), "info": set(), "cat_file": set()}

    def noted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def call_and_note(*args: object, **named: object) -> object:
            callers[name].add(threading.current_thread())
            return call(*args, **named)

        return call_and_note

    for name in callers:
        monkeypatch.setattr(recordings._fs, name, noted(name, getattr(recordings._fs, name)))

    async def keep_and_borrow() -> None:
        recording = await recordings.keep(arrived(settings.temp_dir, bytes(32 * MIB)), NEEDED)
        async with recordings.borrowed(recording):
            pass

    asyncio.run(keep_and_borrow())
    assert all(callers.values())
    assert threading.main_thread() not in set().union(*callers.values())


def test_a_missing_bucket_is_reported_with_its_remedy(recordings: RecordingStore, settings: Settings) -> None:
    settings.spool_url = "s3://no-such-bucket/recordings"
    assert "create the bucket" in reason_of(open_recordings(settings), settings).message


def test_denied_access_is_reported_with_its_remedy(
    s3: S3Server, bucket: str, settings: Settings, connect: Callable[[dict[str, str]], None]
) -> None:
    connect({**s3.environment, "AWS_SECRET_ACCESS_KEY": "another"})
    settings.spool_url = f"s3://{bucket}/recordings"
    assert "denies access" in reason_of(open_recordings(settings), settings).message


def test_missing_credentials_are_reported_with_their_remedy(
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
    assert "AWS_ACCESS_KEY_ID" in reason_of(open_recordings(settings), settings).message


def test_an_unreachable_store_is_reported_with_its_remedy(
    s3: S3Server, settings: Settings, connect: Callable[[dict[str, str]], None]
) -> None:
    connect({**s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"})
    settings.spool_url = "s3://bucket/recordings"
    assert "AWS_ENDPOINT_URL" in reason_of(open_recordings(settings), settings).message


def test_a_store_that_never_answers_times_out(
    s3: S3Server, settings: Settings, connect: Callable[[dict[str, str]], None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connect({**s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        settings.spool_url = "s3://bucket/recordings"
        recordings = open_object_store(settings, READ_SECONDS)
        before = time.monotonic()
        assert "cannot be reached" in reason_of(recordings, settings).message
    assert time.monotonic() - before < 60


def test_a_driver_without_time_limits_is_abandoned_as_well(settings: Settings) -> None:
    may_end, ended = threading.Event(), threading.Event()

    class Hanging:
        def pipe_file(self, *_: object) -> None:
            may_end.wait(60)
            ended.set()

    recordings = ObjectStore(Hanging(), "bucket", settings, stall_seconds=0.1)
    with pytest.raises(ServiceUnavailable) as caught:
        asyncio.run(recordings.check())
    assert not ended.is_set()
    may_end.set()
    assert "No progress" in caught.value.detail


def test_a_recording_that_cannot_be_removed_is_left_to_the_sweep(
    s3: S3Server, settings: Settings, connect: Callable[[dict[str, str]], None]
) -> None:
    connect({**s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"})
    settings.spool_url = "s3://bucket/recordings"
    asyncio.run(open_recordings(settings).remove(NEEDED))


def test_a_recording_that_was_never_kept_is_lost(recordings: RecordingStore) -> None:
    with pytest.raises(RecordingLost):
        asyncio.run(content_of(recordings, recording_of(b"")))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nosuch://bucket/path", "no driver is known for 'nosuch'"),
        ("gdrive://folder/path", "is not installed"),
        ("memory://recordings", "persistent store"),
        ("s3://", "a path in it"),
        ("simplecache::s3://bucket", "plain URL"),
        ("s3://key:verysecret@bucket/path", "without credentials"),
        ("s3://[bucket/path", "plain URL"),
    ],
)
def test_an_unusable_url_is_an_invalid_setting(settings: Settings, url: str, problem: str) -> None:
    settings.spool_url = url
    with pytest.raises(InvalidSettings, match=problem) as caught:
        open_recordings(settings)
    assert "SPOOL_URL" in str(caught.value)
    assert "verysecret" not in str(caught.value)


def test_a_password_in_an_address_is_not_shown(
    s3: S3Server, settings: Settings, connect: Callable[[dict[str, str]], None]
) -> None:
    connect({**s3.environment, "AWS_ENDPOINT_URL": f"http://user:verysecret@127.0.0.1:{free_port()}"})
    settings.spool_url = "s3://bucket/recordings"
    reason = reason_of(open_recordings(settings), settings)
    assert "verysecret" not in reason.message + reason.detail
