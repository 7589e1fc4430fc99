"""Former transcripts of jobs whose transcript was replaced."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

import structlog

from transcription.core.transcript import Transcript
from transcription.jobs.job import Job, Version
from transcription.jobs.store.rows import unpack_transcript
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.steps import SqliteSteps, execute, first_row, insert
from transcription.jobs.store.unreadable import READ_ERRORS, reason_of

log = structlog.get_logger(__name__)


class SqliteVersions(SqliteSteps):
    """As `transcription.jobs.store.base.Versions`."""

    async def replace_result(self, shown: Job, transcript: Transcript) -> str:
        values = await self._packed(shown.id, transcript) | {"id": shown.id, "result": int(shown.result or 0)}

        def step(db: sqlite3.Connection) -> str:
            if not execute(db, queries.KEEP_VERSION, values):
                return ""
            result = insert(db, queries.REPLACEMENT, values)
            db.execute(queries.SHOW_REPLACEMENT, values | {"shown": result})
            db.execute(queries.DROP_RESULT_UNLESS_USED, (values["result"],))
            db.execute(queries.DROP_OLD_VERSIONS, values)
            return str(result)

        return await self._database.write(step, durable=True)

    async def versions(self, job_id: str) -> Sequence[Version]:
        def step(db: sqlite3.Connection) -> list[Version]:
            rows = db.execute(queries.VERSIONS, {"id": job_id}).fetchall()
            return [Version(row["version"], row["saved_at"]) for row in rows]

        return await self._database.read(step)

    async def former_result(self, job_id: str, number: int) -> Transcript | None:
        values = {"id": job_id, "version": number}
        row = await self._database.read(lambda db: first_row(db, queries.VERSION, values))
        if row is None:
            return None
        try:
            return await asyncio.to_thread(unpack_transcript, row["transcript"])
        except READ_ERRORS as error:
            log.error("unreadable_version", job_id=job_id, version=number, reason=reason_of(error))
            return None
