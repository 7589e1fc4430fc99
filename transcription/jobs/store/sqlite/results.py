"""Results and finished windows by work."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import takewhile

from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs.store.rows import readable_windows
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.steps import SqliteSteps, insert


class SqliteResults(SqliteSteps):
    """As `transcription.jobs.store.base.Results`."""

    async def cached(self, work: str) -> Transcript | None:
        if not self._caching:
            return None
        return await self._transcript(queries.VALID_RESULT, self._parameters() | {"work": work})

    async def remember(self, work: str, transcript: Transcript) -> None:
        if not self._caching:
            return
        values = await self._packed(work, transcript)
        await self._database.write(lambda db: insert(db, queries.KEEP_RESULT, values))

    async def checkpoints(self, work: str, start: int = 0) -> Sequence[PlacedResult]:
        def step(db: sqlite3.Connection) -> list[PlacedResult]:
            rows = enumerate(db.execute(queries.WINDOWS, (work, start)).fetchall(), start=start)
            in_order = takewhile(lambda item: item[0] == item[1]["position"], rows)
            return readable_windows([row["placed"] for _, row in in_order])

        return await self._database.read(step)
