"""Stored values that cannot be read, because another version wrote them or because they are damaged.

They fail the one job that they belong to, with the reason, and nothing else. docs/decisions/0034-unreadable-rows.md.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from transcription.core.errors import Failure, InvalidParameter, UnreadableJob
from transcription.core.options import DecodeOptions, TranscriptionRequest, VadOptions
from transcription.jobs.job import UNKNOWN_CALLER, Job, JobStatus, Recording

# What reading damaged data raises: wrong types, missing fields, broken JSON or zlib, numbers that are too large, and
# options that contradict each other.
READ_ERRORS = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, zlib.error),
    InvalidParameter,
)
MAX_REASON_CHARACTERS = 200
LAST_MOMENT = 253_402_300_799.0  # the end of the year 9999, in seconds since the epoch
MAX_INTEGER = 2**63 - 1  # of both stores

_ADVICE = "It was written by another version of the service, or is damaged. Submit the recording again."


def unreadable_job(fields: Mapping[str, Any], problems: Mapping[str, str]) -> Job:
    """A failed job in place of one that cannot be read.

    fields: those that could be read. problems: the reason, by the name of the column.
    """
    job_id = fields.get("id", "")
    fallback: dict[str, Any] = {
        "id": job_id,
        "number": 0,
        "work": "",
        "request": TranscriptionRequest(DecodeOptions(""), VadOptions()),
        "recording": Recording(job_id, "", 0),  # recordings are stored under the id of their job
        "response_format": "json",
        "created_at": 0.0,
    }
    if "caller" in problems:  # only an admin sees it
        fallback["caller"] = UNKNOWN_CALLER
    known = fallback | dict(fields)
    ended = {
        "status": JobStatus.FAILED,
        "failure": unreadable(problems),
        "finished_at": known.get("finished_at") or known["created_at"],
        "readable": False,
    }
    return Job(**(known | ended))


def unreadable(problems: Mapping[str, str]) -> Failure:
    """The failure of a job that cannot be read. problems: the reason, by the name of the column."""
    detail = "; ".join(f"{column}: {reason}" for column, reason in problems.items())
    return Failure(UnreadableJob.code, f"The stored job cannot be read. {_ADVICE}", detail)


def unreadable_result(reason: str) -> Failure:
    """The failure of a job that was completed and whose transcript is lost."""
    return Failure(
        UnreadableJob.code, "The stored transcript of the job cannot be read. Retry the job.", f"transcript: {reason}"
    )


def reason_of(error: Exception) -> str:
    """Why a value cannot be read, without the value itself, which may be confidential."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return f"{place} {first['msg']}".strip()[:MAX_REASON_CHARACTERS]
    if isinstance(error, Implausible):
        return str(error)
    return f"not in a known form ({type(error).__name__})"


class Implausible(ValueError):
    """The value has a wrong type or is out of range. The message does not quote it."""


def text(value: Any) -> str:
    """The value, if it is a text. Raises Implausible."""
    if not isinstance(value, str):
        raise Implausible("not a text")
    return value


def whole(value: Any) -> int:
    """The value, if it is an integer from 0 to MAX_INTEGER. Raises Implausible."""
    if not isinstance(value, int) or not 0 <= value <= MAX_INTEGER:
        raise Implausible("not a whole number in the possible range")
    return value


def seconds(value: Any) -> float:
    """The value, if it is a duration or a time in seconds. Raises Implausible."""
    if not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= LAST_MOMENT:
        raise Implausible("not a number of seconds in the possible range")
    return float(value)


def seconds_or_none(value: Any) -> float | None:
    """As `seconds`, or None."""
    return None if value is None else seconds(value)
