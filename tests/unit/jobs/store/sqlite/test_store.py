"""The SQLite store: the contract of every store, and the file on disk."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.service import ROOT
from tests.unit.jobs.store.contract import StoreContract
from tests.unit.jobs.store.sqlite.conftest import change
from tests.unit.jobs.store.support import (
    BROKEN,
    REQUEST,
    RESULT_TTL,
    Calls,
    Clock,
    new_job,
    transcript,
    window,
)
from transcription.core.errors import DamagedStore, InsufficientStorage, ServiceUnavailable
from transcription.jobs.access import Access
from transcription.jobs.job import JobStatus, Recording
from transcription.jobs.store.rows import RECORDING
from transcription.jobs.store.rows import REQUEST as REQUESTS
from transcription.jobs.store.sqlite import database
from transcription.jobs.store.sqlite.database import DATABASE_NAME
from transcription.jobs.store.sqlite.schema import MIGRATIONS, SCHEMA_VERSION
from transcription.jobs.store.sqlite.store import SqliteStore


class TestSqliteStore(StoreContract):
    pass


def test_without_a_cache_finished_work_does_not_answer_identical_requests(folder: Path) -> None:
    store = Calls(SqliteStore(folder, result_ttl=RESULT_TTL, caching=False))
    store.submit(new_job("a", "work"))
    lease = store.claim("me")
    store.checkpoint(lease, 0, window(0), 60.0)
    store.submit(new_job("b", "work"))  # work in progress is shared nevertheless
    assert len(store.checkpoints("work")) == 1
    store.complete(lease, transcript())
    assert store.get("b").status == JobStatus.COMPLETED
    store.remember("work", transcript())
    assert store.cached("work") is None
    store.submit(new_job("c", "work"))
    assert store.get("c").status == JobStatus.QUEUED
    assert list(store.checkpoints("work")) == []
    store.close()


# The file


def test_only_the_user_of_the_service_can_read_the_folder(store: Calls, folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_jobs_survive_reopening_the_store(folder: Path) -> None:
    first = Calls(SqliteStore(folder, result_ttl=RESULT_TTL))
    accepted, _ = first.submit(new_job("a"))
    first.close()
    second = Calls(SqliteStore(folder, result_ttl=RESULT_TTL))
    assert second.get("a") == accepted
    second.close()


def test_several_processes_can_create_the_same_store_concurrently(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: SqliteStore(folder, result_ttl=RESULT_TTL), range(8)))
    for store in stores:
        Calls(store).close()


def test_a_database_of_a_newer_version_is_rejected(folder: Path) -> None:
    Calls(SqliteStore(folder, result_ttl=RESULT_TTL)).close()
    change(folder, f"PRAGMA user_version = {SCHEMA_VERSION + 7}")
    change(folder, "UPDATE readers SET minimum = ?", SCHEMA_VERSION + 7)
    with pytest.raises(DamagedStore, match=rf"version {SCHEMA_VERSION + 7}.*up to {SCHEMA_VERSION}"):
        SqliteStore(folder, result_ttl=RESULT_TTL)


def test_a_database_of_a_newer_version_that_says_nothing_about_readers_is_rejected(folder: Path) -> None:
    Calls(SqliteStore(folder, result_ttl=RESULT_TTL)).close()
    change(folder, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    change(folder, "DROP TABLE readers")
    with pytest.raises(DamagedStore, match="Run the newer program"):
        SqliteStore(folder, result_ttl=RESULT_TTL)


def test_a_database_of_a_newer_version_that_says_so_can_be_used(folder: Path) -> None:
    Calls(SqliteStore(folder, result_ttl=RESULT_TTL)).close()
    change(folder, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    change(folder, "ALTER TABLE jobs ADD COLUMN colour TEXT")
    store = Calls(SqliteStore(folder, result_ttl=RESULT_TTL))
    store.submit(new_job("a"))
    store.complete(store.claim("me"), transcript())
    assert store.result("a") == transcript()
    store.close()


def test_a_job_in_a_database_of_an_older_version_is_kept(folder: Path) -> None:
    folder.mkdir()
    columns = ("id", "work", "status", "request", "recording", "response_format", "fingerprint", "created_at")
    recording = RECORDING.pack(Recording("a.bin", "0" * 64, 1))
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection, connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        connection.execute(
            f"INSERT INTO jobs ({', '.join(columns)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ("a", "work", "queued", REQUESTS.pack(REQUEST), recording, "srt", "print", 1.0),
        )
    store = Calls(SqliteStore(folder, result_ttl=RESULT_TTL))
    job = store.get("a")
    claimed = store.claim("me")
    store.close()
    assert claimed.id == "a"
    assert Access("any key").allows(job)
    assert job is not None
    assert (job.request, job.response_format, job.request_id, job.layout) == (REQUEST, "srt", "", None)


def test_a_failure_stored_by_its_class_name_in_an_older_version_is_read(store: Calls, folder: Path) -> None:
    store.submit(new_job("a"))
    store.refuse("a", BROKEN)
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection, connection:
        connection.execute("UPDATE jobs SET failure = replace(failure, ?, ?)", (BROKEN.code, "ModelUnavailable"))
        assert "ModelUnavailable" in connection.execute("SELECT failure FROM jobs").fetchone()[0]
    assert store.get("a").failure == BROKEN


# Damage and backups


def no_database(path: Path) -> None:
    path.write_bytes(b"This is no database at all. " * 500)


def overwritten_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))


@pytest.mark.parametrize("damage", [no_database, overwritten_pages])
def test_a_damaged_database_is_rejected_with_the_remedy(folder: Path, damage: Callable[[Path], None]) -> None:
    Calls(SqliteStore(folder, result_ttl=RESULT_TTL)).close()
    damage(folder / DATABASE_NAME)
    with pytest.raises(DamagedStore) as refused:
        SqliteStore(folder, result_ttl=RESULT_TTL)
    message = refused.value.message
    assert str(folder / DATABASE_NAME) in message
    assert "There is no good copy" in message
    assert "To start empty: rm -f" in message


@pytest.mark.parametrize("damage", [no_database, overwritten_pages, lambda path: path.write_bytes(b"")])
def test_the_command_in_the_message_restores_the_newest_good_copy(
    folder: Path, clock: Clock, damage: Callable[[Path], None]
) -> None:
    store = Calls(SqliteStore(folder, result_ttl=RESULT_TTL, clock=clock))
    store.submit(new_job("a"))
    store.back_up()
    clock.move(60)
    store.submit(new_job("too-late"))
    store.back_up()
    store.close()
    damage(folder / DATABASE_NAME)
    damage(max((folder / "backups").iterdir()))  # the newest copy is damaged, too
    with pytest.raises(DamagedStore) as refused:
        SqliteStore(folder, result_ttl=RESULT_TTL)
    command = refused.value.message.split("newest good copy: ")[1].splitlines()[0]
    subprocess.run(command, shell=True, check=True)
    restored = Calls(SqliteStore(folder, result_ttl=RESULT_TTL))
    assert restored.get("a").status == JobStatus.QUEUED
    assert restored.get("too-late") is None
    restored.close()


def test_the_command_in_the_message_starts_empty(folder: Path) -> None:
    Calls(SqliteStore(folder, result_ttl=RESULT_TTL)).close()
    no_database(folder / DATABASE_NAME)
    with pytest.raises(DamagedStore) as refused:
        SqliteStore(folder, result_ttl=RESULT_TTL)
    subprocess.run(refused.value.message.split("To start empty: ")[1], shell=True, check=True)
    empty = Calls(SqliteStore(folder, result_ttl=RESULT_TTL))
    assert empty.list_jobs((), None, 10) == []
    empty.close()


def test_the_three_newest_copies_are_kept(store: Calls, folder: Path, clock: Clock) -> None:
    for _ in range(5):
        store.back_up()
        clock.move(1)
    assert len(list((folder / "backups").iterdir())) == 3


def test_a_backup_taken_during_work_is_a_complete_store(store: Calls, folder: Path, tmp_path: Path) -> None:
    store.submit(new_job("a"))
    store.checkpoint(store.claim("me"), 0, window(0), None)
    store.back_up()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(next((folder / "backups").iterdir()), elsewhere / DATABASE_NAME)
    copy = Calls(SqliteStore(elsewhere, result_ttl=RESULT_TTL))
    assert copy.get("a") == store.get("a")
    assert copy.checkpoints("work of a") == [window(0)]
    copy.close()


# Failures


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """A disk that looks full to this process."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_reported_and_loses_nothing(store: Calls, folder: Path) -> None:
    store.submit(new_job("before"))
    log = folder / f"{DATABASE_NAME}-wal"
    with files_no_larger_than(log.stat().st_size), pytest.raises(InsufficientStorage, match="no space for jobs"):
        store.submit(new_job("during"))
    store.submit(new_job("after"))
    assert [job.id for job in store.list_jobs((), None, 10)] == ["after", "before"]


def test_a_lock_held_too_long_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    store = Calls(SqliteStore(folder, result_ttl=RESULT_TTL))
    with closing(sqlite3.connect(folder / DATABASE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceUnavailable, match="locked"):
            store.submit(new_job("a"))
        assert store.get("a") is None  # reads still work
        other.execute("ROLLBACK")
    assert store.submit(new_job("a"))[1]
    store.close()


# A process that works on jobs until it is killed, and prints each step that has returned.
CHILD = """
import sys
from pathlib import Path
from transcription.jobs.store.sqlite.store import SqliteStore
from tests.unit.jobs.store.support import Calls, new_job, transcript, window

store = Calls(SqliteStore(Path(sys.argv[1]), result_ttl=1e6))
for number in range(100_000):
    store.submit(new_job(f"{number}"))
    print("submitted", number, flush=True)
    lease = store.claim("child")
    print("claimed", number, flush=True)
    for position in range(3):
        store.checkpoint(lease, position, window(position), 90.0)
        print("checkpoint", number, flush=True)
    store.complete(lease, transcript())
    print("completed", number, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 5, 40, 203])
def test_completed_steps_survive_a_killed_process(folder: Path, lines: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, folder], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    printed = [child.stdout.readline().split() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    whole, _, _ = child.stdout.read().rpartition("\n")  # printed before the signal, to the last complete line
    printed += [line.split() for line in whole.splitlines()]
    child.wait()
    store = Calls(SqliteStore(folder, result_ttl=1e6))
    done = {
        what: [number for word, number in printed if word == what] for what in ("submitted", "claimed", "completed")
    }
    assert all(store.get(number) for number in done["submitted"])
    assert all(store.get(number).attempt == 1 for number in done["claimed"])
    assert all(store.result(number) == transcript() for number in done["completed"])
    latest = printed[-1][1]
    reported = sum(word == "checkpoint" and number == latest for word, number in printed)
    assert len(store.checkpoints(f"work of {latest}")) >= reported
    store.close()
