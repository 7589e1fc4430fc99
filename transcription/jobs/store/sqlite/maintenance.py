"""Expiry, backups and the end of the process."""

from __future__ import annotations

import sqlite3

from transcription.jobs.job import Job
from transcription.jobs.store.rows import recording_name, shown_job
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.steps import SqliteSteps, execute

EXPIRED_AT_ONCE = 100  # jobs deleted in one transaction, so that other writers are not blocked for long


class SqliteMaintenance(SqliteSteps):
    """As `transcription.jobs.store.base.Maintenance`."""

    async def expire(self) -> None:
        values = self._parameters() | {"limit": EXPIRED_AT_ONCE}

        def step(db: sqlite3.Connection) -> int:
            expired = db.execute(queries.EXPIRE_JOBS, values).fetchall()
            for row in expired:
                db.execute(queries.DROP_WINDOWS_UNLESS_WANTED, {"work": row["work"]})
            return len(expired) + execute(db, queries.EXPIRE_RESULTS, values)

        while await self._database.write(step):
            pass

    async def check_version(self) -> None:
        """Nothing to do: the database was checked when it was opened."""

    async def fail_unreadable(self) -> None:
        def read(db: sqlite3.Connection) -> list[Job]:
            # One row at a time: all of them at once may be more than the memory holds.
            jobs = (shown_job(row) for row in db.execute(queries.SHOWN_JOBS))
            return [job for job in jobs if not job.readable]

        def fail(db: sqlite3.Connection) -> None:
            for job in unreadable:
                self._fail_unreadable(db, job)

        unreadable = await self._database.read(read)
        if unreadable:
            await self._database.write(fail)

    async def recordings_in_use(self) -> frozenset[str]:
        def step(db: sqlite3.Connection) -> frozenset[str]:
            rows = db.execute(queries.RECORDINGS_IN_USE).fetchall()
            return frozenset(recording_name(row["id"], row["recording"]) for row in rows)

        return await self._database.read(step)

    async def back_up(self) -> None:
        await self._database.back_up(self._clock())

    async def close(self) -> None:
        await self._database.close()
