"""Access to one SQLite file through dedicated threads, so that the event loop never waits for the disk."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shlex
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import structlog

from transcription.core.errors import DamagedStore, InsufficientStorage, ServiceUnavailable
from transcription.jobs.durable import sync_folder
from transcription.jobs.store.sqlite.schema import migrate
from transcription.system.private_folder import PRIVATE_FOLDER, create_private, withdraw_rights

T = TypeVar("T")

log = structlog.get_logger(__name__)

DATABASE_NAME = "jobs.sqlite3"
BACKUPS_NAME = "backups"
LOCK_NAME = ".opening"
FOLDERS = (BACKUPS_NAME, "cache", "spool", "uploads")  # in JOBS_DIR; in a container also those of CACHE_DIR, TEMP_DIR
BACKUPS_KEPT = 3
ABANDONED_SECONDS = 3600  # an unfinished copy older than this is deleted

READERS = 4  # threads, each with its own connection
FULL_RETRY_SECONDS = 60.0
BUSY_SECONDS = 10.0  # for which a write waits for writes of other processes
WAL_BYTES_KEPT = 64 * 1024 * 1024  # the write-ahead log is truncated to this after a burst

_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
FULL_BYTES = 1024 * 1024  # with less free space, a file that cannot be created is due to a full disk
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FORBIDDEN = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Database:
    """Several readers and one writer per process. Other processes may write, too.

    Reads never wait for a write. Raises ServiceUnavailable (no space, no permission, locked for BUSY_SECONDS) and
    DamagedStore.
    """

    def __init__(self, folder: Path) -> None:
        """Open folder/jobs.sqlite3; created and migrated as needed. Raises DamagedStore, ServiceUnavailable."""
        self._folder = folder
        self._path = folder / DATABASE_NAME
        folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        if reason := withdraw_rights(folder, _is_ours):
            log.warning("folder_not_private", setting="JOBS_DIR", reason=reason)
        # Without the lock two processes starting together would both create the tables or change the journal mode.
        with _locked(folder / LOCK_NAME), self._errors():
            self._refuse_damage()
            # SQLite gives its other files, such as the log, the rights of this one.
            _create(self._path)
            with closing(self._connect()) as connection:
                migrate(connection, self._path)
            self._writer = self._connect()
            self._readers: SimpleQueue[sqlite3.Connection] = SimpleQueue()
            for _ in range(READERS):
                self._readers.put(self._connect())
        self._file = self._path.stat()
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="jobs-write")
        self._reading = ThreadPoolExecutor(READERS, thread_name_prefix="jobs-read")

    async def read(self, step: Callable[[sqlite3.Connection], T]) -> T:
        """Run `step`, which only reads, in a thread and on one snapshot of the database."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._read, step)

    async def write(self, step: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Run `step` in a thread as one transaction, which an error rolls back.

        The transaction survives a crash of this process; a durable one survives a crash of the machine, too.
        """
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._write, step, durable)

    async def back_up(self, now: float) -> None:
        """Write a consistent copy to folder/backups, named by the time `now`, and keep the newest BACKUPS_KEPT."""
        await asyncio.to_thread(self._back_up, now)

    async def close(self) -> None:
        """Finish pending reads and writes, and close every connection."""
        await asyncio.to_thread(self._close)

    def _read(self, step: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._readers.get()
        try:
            self._check_in_place()
            with self._errors():
                connection.execute("BEGIN")
                return step(connection)
        finally:
            _roll_back(connection)
            self._readers.put(connection)

    def _write(self, step: Callable[[sqlite3.Connection], T], durable: bool) -> T:
        connection = self._writer
        try:
            self._check_in_place()
            with self._errors():
                # NORMAL does not sync the log; the next FULL commit syncs everything before it, too.
                connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                connection.execute("BEGIN IMMEDIATE")
                result = step(connection)
                connection.execute("COMMIT")
                return result
        finally:
            _roll_back(connection)

    def _close(self) -> None:
        self._reading.shutdown()
        self._writing.shutdown()
        for _ in range(READERS):
            self._readers.get().close()
        self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        # A connection is used by one thread at a time, but not always by the same one.
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        # Text that is not UTF-8 would make a whole query fail; so it fails the one job that it belongs to.
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}")
        return connection

    def _refuse_damage(self) -> None:
        is_new = not self._path.exists() or (self._path.stat().st_size == 0 and not list(self._copies()))
        if is_new:
            return
        complaint = _complaint(self._path)
        if complaint:
            raise self._damaged(complaint)

    def _back_up(self, now: float) -> None:
        self._check_in_place()  # or a new, empty database would be created and copied
        folder = self._folder / BACKUPS_NAME
        folder.mkdir(PRIVATE_FOLDER, exist_ok=True)
        withdraw_rights(folder, _is_backup)
        target = folder / f"jobs-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.sqlite3"
        partial = target.with_suffix(f".{os.getpid()}.partial")
        try:
            _create(partial)
            with self._errors(), closing(self._connect()) as source, closing(sqlite3.connect(partial)) as copy:
                source.backup(copy)
                # Without a log beside it the copy is a single file, so that one cp restores it.
                copy.execute("PRAGMA journal_mode = DELETE")
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(folder)
        for old in list(self._copies())[BACKUPS_KEPT:]:
            old.unlink(missing_ok=True)
        for left in folder.glob("*.partial*"):
            if left.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                left.unlink(missing_ok=True)

    def _copies(self) -> Iterator[Path]:
        """The backups, newest first."""
        yield from sorted((self._folder / BACKUPS_NAME).glob("jobs-*.sqlite3"), reverse=True)

    def _damaged(self, detail: str) -> DamagedStore:
        good = next((copy for copy in self._copies() if not _complaint(copy)), None)
        path = shlex.quote(str(self._path))
        # A leftover log would be replayed into any database file of that name.
        beside = f"{path}-wal {path}-shm"
        restore = f"There is no good copy in '{self._folder / BACKUPS_NAME}'."
        if good:
            restore = f"To restore the newest good copy: rm -f {beside} && cp {shlex.quote(str(good))} {path}"
        return DamagedStore(
            f"The database of jobs '{self._path}' is damaged. Stop every process that uses it, then choose:\n"
            f"{restore}\nTo start empty: rm -f {beside} && mv {path} {path}.damaged",
            detail,
        )

    def _check_in_place(self) -> None:
        """SQLite would go on writing to a file that has no name any more, and every job would be lost at the end."""
        with suppress(OSError):
            if os.path.samestat(self._path.stat(), self._file):
                return
        raise ServiceUnavailable(
            "The database of jobs was moved or deleted from JOBS_DIR while the service was running. Have the operator "
            "put it back, or restart the service.",
            retry_after=FULL_RETRY_SECONDS,
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Translate errors of SQLite to errors of this service."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest is the extended code
            if code in _DAMAGED:
                raise self._damaged(str(error)) from error
            if code in _FULL or (code == sqlite3.SQLITE_CANTOPEN and _is_full(self._folder)):
                raise InsufficientStorage(
                    "There is no space for jobs under JOBS_DIR, or its disk fails. Free some space and try again.",
                    str(error),
                    retry_after=FULL_RETRY_SECONDS,
                ) from error
            if code in _BUSY:
                raise ServiceUnavailable(
                    f"The database of jobs was locked for {BUSY_SECONDS:.0f} s by another process. Try again.",
                    str(error),
                ) from error
            if code in _FORBIDDEN:
                raise ServiceUnavailable(
                    "The database of jobs cannot be written under JOBS_DIR. "
                    "Give the user that runs the service the right to write there.",
                    str(error),
                ) from error
            raise


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


def _is_ours(name: str) -> bool:
    return name.startswith(DATABASE_NAME) or name in FOLDERS or name == LOCK_NAME


def _is_backup(name: str) -> bool:
    return name.startswith("jobs-")


def _create(path: Path) -> None:
    with suppress(FileExistsError):
        create_private(path).close()


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _complaint(path: Path) -> str:
    """The damage of a database, "" if it is intact."""
    # SQLite accepts an empty file, but a database only becomes empty by accident.
    if path.stat().st_size == 0:
        return "The file is empty."
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in _DAMAGED:
            raise
        return str(error)
    return "" if answer == "ok" else answer


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
