"""Transcripts of long recordings: files in the recording store, to which Redis refers."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import redis

from tests.support.leftovers import files_under
from tests.support.s3_server import S3Server
from tests.support.service import ROOT
from tests.unit.jobs.store.contract.jobs import AcceptanceContract, CommandContract
from tests.unit.jobs.store.contract.maintenance import MaintenanceContract
from tests.unit.jobs.store.contract.queue import SharedWorkContract
from tests.unit.jobs.store.contract.versions import VersionContract
from tests.unit.jobs.store.support import LEASE, RESULT_TTL, Calls, Clock, finish, new_job, transcript
from transcription.core.errors import NewerStore, RecordingsUnavailable, ResultUnavailable
from transcription.core.settings import Settings
from transcription.jobs.job import JobStatus
from transcription.jobs.policy import VERSIONS_KEPT
from transcription.jobs.recordings.folder import FolderStore
from transcription.jobs.recordings.open import open_recordings
from transcription.jobs.recordings.results import ResultFiles
from transcription.jobs.store.redis import steps as steps_module
from transcription.jobs.store.redis.steps import PREFIX
from transcription.jobs.store.redis.store import RedisStore

NO_GRACE = -1.0
EMPTIED = 1e6  # seconds after which everything has expired


@dataclass
class World:
    """A store whose transcripts are all large, with a folder of its own for them."""

    store: Calls
    recordings: FolderStore
    folder: Path
    keys: redis.Redis

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def sweep(self) -> None:
        """As the cleanup does, without waiting until a file is old."""
        asyncio.run(self.recordings.sweep(self.store.recordings_in_use(), NO_GRACE))

    def minimum_reader(self) -> int:
        return int(self.keys.hget(f"{PREFIX}:schema", "minimum_reader") or 0)


@pytest.fixture
def world(url: str, clock: Clock, settings: Settings, tmp_path: Path, keys: redis.Redis) -> Iterator[World]:
    large = settings.model_copy(update={"max_result_in_redis": 0})
    recordings = FolderStore(tmp_path / "spool", large)
    store = Calls(RedisStore(url, result_ttl=RESULT_TTL, clock=clock, files=ResultFiles(recordings, large)))
    yield World(store, recordings, tmp_path / "spool", keys)
    store.close()


@pytest.fixture
def store(world: World) -> Calls:
    return world.store


class TestResultsInFiles(AcceptanceContract, CommandContract, VersionContract, SharedWorkContract, MaintenanceContract):
    """The contract of a store, with every transcript in a file. Whatever happened, none of them remains."""

    @pytest.fixture(autouse=True)
    def nothing_remains(self, world: World, clock: Clock, settings: Settings) -> Iterator[None]:
        yield
        world.sweep()
        assert set(world.files) == set(world.store.recordings_in_use()) & set(world.files)
        for job in world.store.list_jobs((), None, 1000):
            world.store.cancel(job.id)
        for _ in range(2):
            clock.move(EMPTIED)
            world.store.expire()
        world.sweep()
        assert (world.files, world.keys.hlen(f"{PREFIX}:files"), world.keys.hlen(f"{PREFIX}:file_owners")) == ([], 0, 0)
        assert not files_under(settings.temp_dir)
        assert world.minimum_reader() == steps_module.MINIMUM_READER


def test_a_short_transcript_stays_in_redis_and_a_long_one_goes_to_a_file(
    url: str, settings: Settings, tmp_path: Path, keys: redis.Redis
) -> None:
    recordings = FolderStore(tmp_path / "spool", settings)
    store = Calls(RedisStore(url, result_ttl=RESULT_TTL, files=ResultFiles(recordings, settings)))
    long = transcript(" ".join(f"{number * 7919:x}" for number in range(9000)))
    for job, result in (("short", transcript()), ("long", long)):
        store.submit(new_job(job))
        store.complete(store.claim("me"), result)
        assert store.result(job) == result
    stored = {job: keys.hget(f"{PREFIX}:result:{store.get(job).result}", "transcript") for job in ("short", "long")}
    (file,) = (tmp_path / "spool").iterdir()
    assert stored["short"].startswith(b"x") and len(stored["long"]) < 300
    assert settings.max_result_in_redis < file.stat().st_size < len(long.segments[0].text)  # compressed
    store.close()


def test_a_job_is_deleted_with_the_files_of_all_versions_of_its_transcript(world: World) -> None:
    finish(world.store, "a")
    world.store.replace_result(world.store.get("a"), transcript(" corrected"))
    assert len(world.files) == 2
    world.store.delete("a")
    assert world.files == []


def test_a_file_that_several_jobs_share_stays_until_the_last_is_deleted(world: World) -> None:
    finish(world.store, "a", work="shared")
    world.store.submit(new_job("b", "shared"))
    world.store.replace_result(world.store.get("a"), transcript(" corrected"))
    assert len(world.files) == 2
    world.store.delete("b")
    world.sweep()
    assert world.store.former_result("a", 0) == transcript()
    world.store.delete("a")
    assert world.files == []


def test_no_sweep_deletes_the_file_of_a_version_that_is_kept(world: World) -> None:
    finish(world.store, "a")
    for number in range(VERSIONS_KEPT + 3):
        world.store.replace_result(world.store.get("a"), transcript(f" {number}"))
        world.sweep()
    kept = [version.number for version in world.store.versions("a")]
    assert len(world.files) == len(kept) == VERSIONS_KEPT + 2
    assert all(world.store.former_result("a", number) for number in kept[:-1])
    assert world.store.result("a") == transcript(f" {VERSIONS_KEPT + 2}")


def test_the_list_of_versions_does_not_vanish_before_their_files(world: World) -> None:
    finish(world.store, "a")
    for text in (" one", " two"):
        world.store.replace_result(world.store.get("a"), transcript(text))
    keys = [f"{PREFIX}:versions:a", *(f"{PREFIX}:version:a:{number}" for number in range(2))]
    assert [world.keys.ttl(key) for key in keys] == [-1, -1, -1]


def test_a_file_that_was_replaced_while_it_was_written_is_swept(world: World) -> None:
    finish(world.store, "a")
    before = world.store.get("a")
    world.store.replace_result(before, transcript(" first"))
    assert not world.store.replace_result(before, transcript(" second"))
    assert len(world.files) == 3
    world.sweep()
    assert len(world.files) == 2
    assert (world.store.result("a"), world.store.former_result("a", 0)) == (transcript(" first"), transcript())


# A process that is killed when the file of a transcript is written and Redis does not know it yet.
CHILD = """
import sys
from pathlib import Path
from transcription.core.settings import Settings
from transcription.jobs.recordings.folder import FolderStore
from transcription.jobs.recordings.results import ResultFiles
from transcription.jobs.store.redis.store import RedisStore
from tests.unit.jobs.store.support import Calls, transcript

class Waiting(RedisStore):
    async def _step(self, name, *args, **values):
        if name == "complete":
            print("written", flush=True)
            sys.stdin.read()
        return await super()._step(name, *args, **values)

url, folder, temp, now = sys.argv[1:]
settings = Settings(temp_dir=Path(temp), max_result_in_redis=0)
files = ResultFiles(FolderStore(Path(folder), settings), settings)
store = Calls(Waiting(url, result_ttl=1000, clock=lambda: float(now), files=files))
store.complete(store.claim("child"), transcript())
"""


def test_the_file_of_a_process_that_was_killed_before_it_told_redis_is_swept(
    world: World, url: str, clock: Clock, settings: Settings
) -> None:
    world.store.submit(new_job("a"))
    arguments = [url, str(world.folder), str(settings.temp_dir), str(clock.now)]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "written\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert (len(world.files), world.store.get("a").status) == (1, JobStatus.PROCESSING)
    world.sweep()
    assert world.files == []
    clock.move(LEASE)
    world.store.complete(world.store.claim("another"), transcript())
    world.sweep()
    assert world.store.result("a") == transcript()


def test_a_recording_store_that_is_down_refuses_the_transcript_and_changes_nothing(world: World) -> None:
    world.store.submit(new_job("a"))
    lease = world.store.claim("me")
    away = world.folder.rename(world.folder.with_name("away"))
    with pytest.raises(RecordingsUnavailable):
        world.store.complete(lease, transcript())
    with pytest.raises(RecordingsUnavailable):
        world.store.remember("work", transcript())
    assert (world.store.get("a").status, world.store.get("a").attempt) == (JobStatus.PROCESSING, 1)
    away.rename(world.folder)
    world.store.complete(lease, transcript())
    assert world.store.result("a") == transcript()


@pytest.mark.parametrize(
    "stored", [b"[", b"[1]", b'[{"name":"../secret","sha256":"","size":1}]', b'[{"name":"a b","sha256":"","size":1}]']
)
def test_a_damaged_description_of_a_file_fails_its_job(
    world: World, stored: bytes, spoil_results: Callable[[bytes | None], None]
) -> None:
    finish(world.store, "a")
    spoil_results(stored)
    assert world.store.result("a") is None
    assert world.store.get("a").failure.code == "unreadable_job"


def test_a_reader_who_was_late_does_not_fail_a_job_that_has_another_transcript_by_now(world: World) -> None:
    finish(world.store, "a")
    late = world.store._step("result", id="a")
    world.store.retry("a")
    world.store.complete(world.store.claim("me"), transcript(" second"))
    world.sweep()  # the first file

    failure = '[{"kind":"unreadable_job","message":"","detail":""}]'
    world.store._step("drop_unreadable_result", late[0], id="a", failure=failure)
    assert world.store.result("a") == transcript(" second")


def test_an_older_program_is_refused_only_while_a_transcript_is_in_a_file(
    world: World, url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take the description of a file for a damaged transcript, and fail the job."""
    older = Calls(RedisStore(url, result_ttl=RESULT_TTL, clock=clock))

    def answers() -> bool:
        with monkeypatch.context() as patched:
            patched.setattr(steps_module, "SCHEMA_VERSION", 8)
            try:
                return bool(older.count())
            except NewerStore:
                return False

    world.store.submit(new_job("a"))
    assert answers()
    world.store.complete(world.store.claim("me"), transcript())
    assert not answers()
    world.store.delete("a")
    assert answers()
    older.close()


@pytest.mark.parametrize(("newer_minimum", "with_files"), [(8, 9), (11, 11)])
@pytest.mark.parametrize("newer_is_first", [True, False])
def test_files_do_not_lower_the_minimum_of_a_newer_program(
    world: World, monkeypatch: pytest.MonkeyPatch, newer_minimum: int, with_files: int, newer_is_first: bool
) -> None:
    def use_newer() -> None:
        monkeypatch.setattr(steps_module, "SCHEMA_VERSION", 12)
        monkeypatch.setattr(steps_module, "MINIMUM_READER", newer_minimum)
        world.store.count()
        # This program goes on, as far as it may.
        monkeypatch.setattr(steps_module, "MINIMUM_READER", 7)

    if newer_is_first:
        use_newer()
    finish(world.store, "a")
    if not newer_is_first:
        assert world.minimum_reader() == 9
        use_newer()
    assert world.minimum_reader() == with_files
    world.store.delete("a")
    assert world.minimum_reader() == newer_minimum


def test_a_transcript_that_an_older_version_stored_in_redis_is_read_and_replaced(
    world: World, url: str, clock: Clock
) -> None:
    older = Calls(RedisStore(url, result_ttl=RESULT_TTL, clock=clock))
    finish(older, "a")
    assert world.store.result("a") == transcript()
    world.store.replace_result(world.store.get("a"), transcript(" corrected"))
    assert (world.store.result("a"), world.store.former_result("a", 0)) == (transcript(" corrected"), transcript())
    world.store.delete("a")
    assert world.files == []
    older.close()


def test_transcripts_travel_through_an_object_store(
    url: str, clock: Clock, settings: Settings, s3: S3Server, bucket: str
) -> None:
    settings = settings.model_copy(update={"max_result_in_redis": 0, "spool_url": f"s3://{bucket}/spool"})
    recordings = open_recordings(settings)

    async def live() -> None:
        store = RedisStore(url, result_ttl=RESULT_TTL, clock=clock, files=ResultFiles(recordings, settings))
        for job in ("a", "b"):
            await store.submit(new_job(job))
            lease = await store.claim("me")
            assert lease is not None
            await store.complete(lease, transcript(f" {job}"))
        assert await store.result("a") == transcript(" a")
        assert len(s3.keys(bucket)) == 2
        await store.delete("a")
        await recordings.sweep(await store.recordings_in_use(), NO_GRACE)
        (key,) = s3.keys(bucket)
        assert await store.result("b") == transcript(" b")
        intact = s3.content(bucket, key)
        for lose in (partial(s3.put, bucket, key, b"x" * len(intact)), partial(s3.delete, bucket, key)):
            lose()
            with pytest.raises(ResultUnavailable):
                await store.result("b")
            assert await store.cached("work of b") is None
            job = await store.get("b")
            assert job is not None and job.status is JobStatus.COMPLETED
        s3.put(bucket, key, intact)
        assert await store.result("b") == transcript(" b")
        await store.close()

    asyncio.run(live())
