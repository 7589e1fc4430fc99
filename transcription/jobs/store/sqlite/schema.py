"""The tables of the SQLite store, and the migrations from older versions."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from transcription.core.errors import DamagedStore

# Each entry migrates from the version that is its index to the next one. Released entries are never edited.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE results (
            id         INTEGER PRIMARY KEY AUTOINCREMENT,
            work       TEXT NOT NULL,
            duration   REAL NOT NULL,      -- seconds of audio
            expires_at REAL NOT NULL,
            transcript BLOB NOT NULL       -- JSON, compressed
        )
        """,
        "CREATE INDEX results_of_work ON results (work, id)",
        "CREATE INDEX results_by_expiry ON results (expires_at)",
        """
        CREATE TABLE jobs (
            number            INTEGER PRIMARY KEY AUTOINCREMENT,
            id                TEXT NOT NULL UNIQUE,
            work              TEXT NOT NULL,
            status            TEXT NOT NULL,
            request           TEXT NOT NULL,     -- JSON
            recording         TEXT NOT NULL,     -- JSON
            response_format   TEXT NOT NULL,
            fingerprint       TEXT NOT NULL,
            idempotency_key   TEXT UNIQUE,
            created_at        REAL NOT NULL,
            started_at        REAL,
            finished_at       REAL,
            expires_at        REAL,
            not_before        REAL NOT NULL DEFAULT 0,
            owner             TEXT,              -- these two only while it is processing
            lease_until       REAL,
            attempt           INTEGER NOT NULL DEFAULT 0,
            failures          INTEGER NOT NULL DEFAULT 0,
            begun_at          REAL,              -- when the latest attempt began, and with how much audio done
            begun_from        REAL,
            speed             REAL,              -- of the attempt that completed it, seconds of audio a second
            seconds_done      REAL NOT NULL DEFAULT 0,
            seconds_total     REAL,
            failure           TEXT,              -- JSON
            result            INTEGER REFERENCES results (id),
            callback_url      TEXT,
            delivery_state    TEXT NOT NULL DEFAULT 'pending',
            delivery_attempts INTEGER NOT NULL DEFAULT 0,
            delivery_at       REAL,
            delivery_detail   TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX jobs_of_work ON jobs (work, status, number)",
        "CREATE INDEX jobs_of_result ON jobs (result) WHERE result IS NOT NULL",
        "CREATE INDEX unfinished_jobs ON jobs (number, work) WHERE status IN ('queued', 'processing')",
        # The database itself keeps two jobs from doing the same work at once.
        "CREATE UNIQUE INDEX processing_jobs ON jobs (work) WHERE status = 'processing'",
        "CREATE INDEX jobs_by_expiry ON jobs (expires_at) WHERE expires_at IS NOT NULL",
        "CREATE INDEX jobs_by_delivery ON jobs (delivery_at) WHERE delivery_at IS NOT NULL",
        "CREATE INDEX measured_jobs ON jobs (finished_at, speed) WHERE speed IS NOT NULL",
        """
        CREATE TABLE windows (
            work     TEXT NOT NULL,
            position INTEGER NOT NULL,
            done     REAL NOT NULL,              -- where the window ends in the file, seconds
            placed   TEXT NOT NULL,              -- JSON
            PRIMARY KEY (work, position)
        )
        """,
    ),
    ("ALTER TABLE jobs ADD COLUMN request_id TEXT NOT NULL DEFAULT ''",),
    ("ALTER TABLE jobs ADD COLUMN layout TEXT",),  # JSON; of subtitles, NULL if not requested
    (
        "ALTER TABLE jobs ADD COLUMN caller TEXT NOT NULL DEFAULT ''",  # the name of an API key, '' for none
        "CREATE INDEX jobs_of_caller ON jobs (caller, number)",
        "CREATE INDEX unfinished_jobs_of_caller ON jobs (caller, number) WHERE status IN ('queued', 'processing')",
        # The turn in which a job of the caller was last begun, counted from 1.
        "CREATE TABLE turns (caller TEXT PRIMARY KEY, served INTEGER NOT NULL)",
    ),
    # The oldest schema version whose program can use this database.
    ("CREATE TABLE readers (minimum INTEGER NOT NULL)", "INSERT INTO readers VALUES (1)"),
    (),  # requests have a script and an encoder context, which an older program refuses to read
    (),  # requests and transcripts have speakers, jobs the format rttm: an older program drops or refuses them
    (
        """
        CREATE TABLE versions (                 -- former transcripts of jobs
            job         TEXT NOT NULL,
            version     INTEGER NOT NULL,
            saved_at    REAL NOT NULL,
            replaced_at REAL NOT NULL,
            transcript  BLOB NOT NULL,          -- as in results
            PRIMARY KEY (job, version)
        )
        """,
        # Older programs do not know the table, and delete and retry jobs: the database itself deletes their versions.
        "CREATE TRIGGER job_deleted AFTER DELETE ON jobs BEGIN DELETE FROM versions WHERE job = OLD.id; END",
        """
        CREATE TRIGGER job_retried AFTER UPDATE OF status ON jobs WHEN NEW.status = 'queued'
        BEGIN DELETE FROM versions WHERE job = OLD.id; END
        """,
    ),
)
SCHEMA_VERSION = len(MIGRATIONS)
# Raise it to SCHEMA_VERSION with a change that an older program would misread: docs/decisions/0034-unreadable-rows.md.
MINIMUM_READER = 7


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Migrate the database to SCHEMA_VERSION, one transaction per version.

    A newer one stays as it is if it says that this program can use it. Raises DamagedStore if it does not.
    """
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > SCHEMA_VERSION and _minimum_reader(connection, version) > SCHEMA_VERSION:
                raise DamagedStore(
                    f"The database of jobs '{path}' has version {version}; this program supports versions up to "
                    f"{SCHEMA_VERSION}. Run the newer program, or set a different JOBS_DIR for this one."
                )
            if version < SCHEMA_VERSION:
                for statement in MIGRATIONS[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
                if version + 1 == SCHEMA_VERSION:
                    connection.execute("UPDATE readers SET minimum = ?", (MINIMUM_READER,))
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if version >= SCHEMA_VERSION:
            return


def _minimum_reader(connection: sqlite3.Connection, version: int) -> int:
    """The oldest schema version whose program can use the database; its own `version` if it does not say."""
    try:
        row = connection.execute("SELECT max(minimum) FROM readers").fetchone()
    except sqlite3.OperationalError:  # there is no such table
        return version
    return row[0] if isinstance(row[0], int) else version
