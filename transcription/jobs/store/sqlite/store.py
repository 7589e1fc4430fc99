"""Jobs in one SQLite file, which several processes of one machine share. No server is needed."""

from __future__ import annotations

from transcription.jobs.store.sqlite.deliveries import SqliteDeliveries
from transcription.jobs.store.sqlite.jobs import SqliteJobs
from transcription.jobs.store.sqlite.maintenance import SqliteMaintenance
from transcription.jobs.store.sqlite.queue import SqliteQueue
from transcription.jobs.store.sqlite.results import SqliteResults
from transcription.jobs.store.sqlite.versions import SqliteVersions


class SqliteStore(SqliteJobs, SqliteVersions, SqliteResults, SqliteQueue, SqliteDeliveries, SqliteMaintenance):
    """A `transcription.jobs.store.base.JobStore` in the file folder/jobs.sqlite3."""
