"""Converts jobs to Redis hashes and back: fields are the columns of the SQLite store, without empty ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from transcription.jobs.job import Job, NewJob
from transcription.jobs.store.rows import row_of, shown_job

OWNED = "owned"  # a field of jobs with a caller; those of older versions do not have it

Number = Callable[[str | bytes], int | float]

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
    "result": None,
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
    fields = {name: value for name, value in row_of(new).items() if value}
    return fields | {OWNED: "1"} if new.caller else fields


def job_of(shown: Sequence[Any]) -> Job:
    """The job as shown to clients. Never fails: see `transcription.jobs.store.rows.job_of`.

    shown: its hash, and the progress of the job that does its work, if that is another one.
    """
    flat = [value.decode(errors="replace") for value in shown[0]]
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    row: dict[str, Any] = {name: fields.get(name, default) for name, default in _TEXT.items()}
    if OWNED in fields and "caller" not in fields:
        row["caller"] = None  # lost, so that the job cannot be read; not one without a caller, which any key may use
    row |= _numbers(fields, _WHOLE, int) | _numbers(fields, _SECONDS, float)
    row["shown_status"] = row["status"]
    if len(shown) > 1:
        started_at, done, total = (None if value is None else _number(value, float) for value in shown[1])
        row |= {
            "shown_status": "processing",
            "leader_started_at": started_at,
            "leader_seconds_done": done or 0.0,
            "leader_seconds_total": total,
        }
    return shown_job(row)


def number_or_none(value: bytes) -> float | None:
    """A positive finite number, None for anything else."""
    number = _number(value, float)
    return number if isinstance(number, float) and 0 < number < math.inf else None


def _numbers(fields: dict[str, str], defaults: dict[str, Any], number: Number) -> dict[str, Any]:
    return {name: _number(fields[name], number) if name in fields else default for name, default in defaults.items()}


def _number(value: str | bytes, number: Number) -> Any:
    """The number, or the value as it is, which the rules for columns refuse then."""
    try:
        return number(value)
    except ValueError:
        return value
