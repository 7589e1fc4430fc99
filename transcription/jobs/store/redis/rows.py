"""Converts jobs to Redis hashes and back: fields are the columns of the SQLite store, without empty ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from transcription.jobs.job import Job, NewJob
from transcription.jobs.store.rows import row_of, shown_job

_TEXT: dict[str, str | None] = {  # with the default of a missing field
    "id": None,
    "work": None,
    "status": None,
    "request": None,
    "recording": None,
    "response_format": None,
    "failure": None,
    "callback_url": None,
    "request_id": "",
    "caller": "",
    "layout": None,
    "delivery_state": "pending",
    "delivery_detail": "",
}
_WHOLE = {"number": 0, "attempt": 0, "failures": 0, "delivery_attempts": 0}
_SECONDS: dict[str, float | None] = {
    "created_at": None,
    "started_at": None,
    "finished_at": None,
    "expires_at": None,
    "not_before": 0.0,
    "seconds_done": 0.0,
    "seconds_total": None,
    "delivery_at": None,
}


def fields_of(new: NewJob) -> dict[str, str]:
    """The fields of a job at its acceptance."""
    return {name: value for name, value in row_of(new).items() if value}


def job_of(shown: Sequence[Any]) -> Job:
    """The job as shown to clients.

    shown: its hash, and the progress of the job that does its work, if that is another one.
    """
    flat = shown[0]
    fields = {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
    row: dict[str, Any] = {name: fields.get(name, default) for name, default in _TEXT.items()}
    row |= _numbers(fields, _WHOLE, int) | _numbers(fields, _SECONDS, float)
    row["shown_status"] = row["status"]
    if len(shown) > 1:
        started_at, done, total = (None if value is None else float(value) for value in shown[1])
        row |= {
            "shown_status": "processing",
            "leader_started_at": started_at,
            "leader_seconds_done": done or 0.0,
            "leader_seconds_total": total,
        }
    return shown_job(row)


def _numbers(fields: dict[str, str], defaults: dict[str, Any], number: Callable[[str], Any]) -> dict[str, Any]:
    return {name: number(fields[name]) if name in fields else default for name, default in defaults.items()}
