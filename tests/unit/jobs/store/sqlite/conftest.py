"""A store in a new file, and ways to damage it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.jobs.store.support import RESULT_TTL, Calls, Clock
from transcription.jobs.store.sqlite.database import DATABASE_NAME
from transcription.jobs.store.sqlite.store import SqliteStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "jobs"


@pytest.fixture
def store(folder: Path, clock: Clock) -> Iterator[Calls]:
    opened = Calls(SqliteStore(folder, result_ttl=RESULT_TTL, clock=clock))
    yield opened
    opened.close()


def change(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture
def poison(store: Calls, folder: Path) -> Callable[[str, str, object], None]:
    """Replaces a column of a job by any value; by a text where a value is required."""

    def replace(job_id: str, column: str, value: object) -> None:
        placeholder = "CAST(? AS TEXT)" if isinstance(value, bytes) else "?"
        try:
            change(folder, f"UPDATE jobs SET {column} = {placeholder} WHERE id = ?", value, job_id)
        except sqlite3.IntegrityError:
            change(folder, f"UPDATE jobs SET {column} = ? WHERE id = ?", f"not {job_id}", job_id)

    return replace


@pytest.fixture
def spoil_results(store: Calls, folder: Path) -> Callable[[bytes | None], None]:
    """Replaces every stored transcript; None deletes them."""

    def spoil(packed: bytes | None) -> None:
        if packed is None:
            change(folder, "DELETE FROM results")
        else:
            change(folder, "UPDATE results SET transcript = ?", packed)

    return spoil


@pytest.fixture
def spoil_version(store: Calls, folder: Path) -> Callable[[str, int], None]:
    """Replaces a former version of a job's transcript."""
    statement = "UPDATE versions SET transcript = ? WHERE job = ? AND version = ?"
    return lambda job_id, number: change(folder, statement, b"no transcript", job_id, number)


@pytest.fixture
def spoil_window(store: Calls, folder: Path) -> Callable[[int], None]:
    """Replaces the window at a position."""
    return lambda position: change(folder, "UPDATE windows SET placed = '[{' WHERE position = ?", position)
