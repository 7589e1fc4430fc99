"""Transcripts whose files cannot be read: missing, damaged, or in a store that is out of reach."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from tests.support.s3_server import S3Server
from tests.unit.jobs.store.redis import test_result_files
from tests.unit.jobs.store.redis.test_result_files import World
from tests.unit.jobs.store.support import Calls, finish, new_job, transcript
from transcription.core.errors import ResultUnavailable
from transcription.core.settings import Settings
from transcription.jobs.job import JobStatus
from transcription.jobs.recordings.folder import FolderStore
from transcription.jobs.recordings.object_storage import THREADS
from transcription.jobs.recordings.open import open_recordings
from transcription.jobs.store.open import open_shared_store
from transcription.jobs.store.rows import pack_transcript

world = test_result_files.world  # a fixture that both files share


def take_away(world: World) -> Callable[[], object]:
    """The folder is there without its files, as a mount point where nothing is mounted."""
    away = world.folder.rename(world.folder.with_name("away"))
    world.folder.mkdir()

    def bring_back() -> None:
        world.folder.rmdir()
        away.rename(world.folder)

    return bring_back


def make_unreachable(world: World) -> Callable[[], object]:
    away = world.folder.rename(world.folder.with_name("away"))
    return lambda: away.rename(world.folder)


def damage(content: bytes) -> Callable[[World], Callable[[], object]]:
    def replace_content(world: World) -> Callable[[], object]:
        (file,) = (world.folder / name for name in world.files)
        intact = file.read_bytes()
        file.write_bytes(content)
        return lambda: file.write_bytes(intact)

    return replace_content


OTHER = damage(pack_transcript(transcript(" another")))


@pytest.mark.parametrize("copied", [False, True], ids=["one mount", "a copy"])
@pytest.mark.parametrize(
    "spoil",
    [take_away, make_unreachable, damage(b""), damage(b"x\x9c truncated"), OTHER],
    ids=["empty mount point", "no folder", "empty file", "damaged file", "another file"],
)
def test_a_result_whose_file_cannot_be_read_here_is_unavailable_and_stays(
    world: World, spoil: Callable[[World], Callable[[], object]], copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if copied:  # the folder is on another mount than TEMP_DIR
        monkeypatch.setattr(FolderStore, "_is_on_the_disk_of_uploads", lambda *_: False)
    finish(world.store, "a", work="same")
    before, (name,) = world.store.get("a"), world.files
    restore = spoil(world)
    with capture_logs() as logs, pytest.raises(ResultUnavailable, match="SPOOL_URL"):
        world.store.result("a")
    assert [(entry["log_level"], entry["event"], entry["file"]) for entry in logs] == [
        ("error", "result_not_read", name)
    ]
    assert world.store.get("a") == before
    restore()
    world.sweep()
    assert world.store.result("a") == transcript()


@pytest.mark.parametrize("spoil", [take_away, OTHER], ids=["missing", "damaged"])
def test_a_recording_whose_cached_result_cannot_be_read_is_transcribed_again(
    world: World, spoil: Callable[[World], Callable[[], object]]
) -> None:
    finish(world.store, "a", work="same")
    before = world.store.get("a")
    spoil(world)
    assert world.store.cached("same") is None
    job, _ = world.store.submit(new_job("b", "same"))
    assert job.status == JobStatus.QUEUED
    world.store.complete(world.store.claim("me"), transcript(" again"))
    assert (world.store.result("b"), world.store.cached("same")) == (transcript(" again"), transcript(" again"))
    assert world.store.get("a") == before


def test_a_job_whose_file_is_lost_can_be_retried_and_deleted(world: World) -> None:
    for job in "ab":
        finish(world.store, job)
    for name in world.files:
        (world.folder / name).unlink()
    world.store.retry("a")
    world.store.complete(world.store.claim("me"), transcript(" again"))
    assert world.store.result("a") == transcript(" again")
    world.store.delete("b")
    assert world.store.get("b") is None


def test_a_former_version_whose_file_cannot_be_read_is_unavailable(world: World) -> None:
    finish(world.store, "a")
    (lost,) = world.files
    world.store.replace_result(world.store.get("a"), transcript(" corrected"))
    (world.folder / lost).unlink()
    with pytest.raises(ResultUnavailable):
        world.store.former_result("a", 0)
    assert world.store.result("a") == transcript(" corrected")


def test_transcripts_do_not_wait_for_the_transfers_of_recordings(
    url: str, settings: Settings, s3: S3Server, bucket: str
) -> None:
    changed = {"max_result_in_redis": 0, "spool_url": f"s3://{bucket}/spool", "redis_url": url}
    settings = settings.model_copy(update=changed)
    recordings, transferred = open_recordings(settings), threading.Event()
    for _ in range(THREADS):
        recordings._threads.submit(transferred.wait)  # type: ignore[attr-defined]
    store = Calls(open_shared_store(settings, with_results=True))
    finish(store, "a")
    assert store.result("a") == transcript()
    transferred.set()
    store.close()
