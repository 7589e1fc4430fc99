"""Converts jobs, windows and transcripts to stored values and back."""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter

from transcription.core.errors import Failure
from transcription.core.options import TranscriptionRequest
from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs.job import Delivery, DeliveryState, Job, JobStatus, KeptLayout, NewJob, Recording

T = TypeVar("T")
Row = sqlite3.Row | Mapping[str, Any]

# A model may compute NaN or infinity, which JSON has no notation for.
_CONSTANTS = ConfigDict(ser_json_inf_nan="constants", defer_build=True)


class Codec(Generic[T]):
    """Converts a dataclass to JSON and back."""

    def __init__(self, kind: type[T]) -> None:
        # A tuple, because pydantic accepts no configuration for a dataclass.
        self._adapter: TypeAdapter[Any] = TypeAdapter(tuple[kind], config=_CONSTANTS)  # type: ignore[valid-type]

    def pack(self, value: T) -> str:
        return self._adapter.dump_json((value,)).decode()

    def unpack(self, text: str | bytes) -> T:
        (value,) = self._adapter.validate_json(text)
        return cast(T, value)


REQUEST = Codec(TranscriptionRequest)
RECORDING = Codec(Recording)
PLACED = Codec(PlacedResult)
LAYOUT = Codec(KeptLayout)
_TRANSCRIPT = Codec(Transcript)


def pack_transcript(transcript: Transcript) -> bytes:
    return zlib.compress(_TRANSCRIPT.pack(transcript).encode())


def unpack_transcript(packed: bytes) -> Transcript:
    return _TRANSCRIPT.unpack(zlib.decompress(packed))


def pack_failure(failure: Failure) -> str:
    """A failure as JSON. Its code is called `kind`, as in older versions, which may share the store in an upgrade."""
    return json.dumps([{"kind": failure.code, "message": failure.message, "detail": failure.detail}])


def unpack_failure(text: str | bytes) -> Failure:
    """The failure in JSON. Class names are accepted as codes, too: until version 1.0 they were stored instead."""
    (stored,) = json.loads(text)
    return Failure(_code_of(stored["kind"]), stored["message"], stored["detail"])


# Names of classes whose code is not their name in snake case.
_CODES_OF_CLASSES = {
    "TranscriptionError": "internal_error",
    "RefusedWindow": "refused_recording",
    "OutcomeUnknown": "service_unavailable",
}


def _code_of(kind: str) -> str:
    return _CODES_OF_CLASSES.get(kind) or re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()


def row_of(new: NewJob) -> dict[str, str | None]:
    """The columns of a job at its acceptance."""
    return {
        "id": new.id,
        "work": new.work,
        "request": REQUEST.pack(new.request),
        "recording": RECORDING.pack(new.recording),
        "response_format": new.response_format,
        "fingerprint": new.fingerprint,
        "idempotency_key": _own_key(new),
        "callback_url": new.callback_url,
        "request_id": new.request_id,
        "layout": LAYOUT.pack(new.layout) if new.layout else None,
        "caller": new.caller,
    }


def _own_key(new: NewJob) -> str | None:
    """The idempotency key, made unique to its caller. Neither a name nor a header contains a line break."""
    if new.idempotency_key is None or not new.caller:
        return new.idempotency_key
    return f"{new.caller}\n{new.idempotency_key}"


def shown_job(row: Row) -> Job:
    """The job as shown to clients. row: of `queries.SHOWN_JOBS`."""
    if row["shown_status"] == row["status"]:
        return job_of(row)
    return job_of(
        row,
        status=JobStatus.PROCESSING,
        started_at=row["leader_started_at"],
        seconds_done=max(row["leader_seconds_done"], row["seconds_done"]),
        seconds_total=row["leader_seconds_total"] or row["seconds_total"],
    )


def job_of(row: Row, **shown: Any) -> Job:
    """The job of a row of the table. shown: fields that replace those of the row."""
    fields: dict[str, Any] = {
        name: row[name]
        for name in (
            "id",
            "number",
            "work",
            "response_format",
            "created_at",
            "started_at",
            "finished_at",
            "expires_at",
            "not_before",
            "attempt",
            "failures",
            "seconds_done",
            "seconds_total",
            "request_id",
            "caller",
        )
    }
    fields |= {
        "status": JobStatus(row["status"]),
        "request": REQUEST.unpack(row["request"]),
        "recording": RECORDING.unpack(row["recording"]),
        "failure": unpack_failure(row["failure"]) if row["failure"] else None,
        "delivery": _delivery_of(row),
        "layout": LAYOUT.unpack(row["layout"]) if row["layout"] else None,
    }
    return Job(**(fields | shown))


def _delivery_of(row: Row) -> Delivery | None:
    if row["callback_url"] is None:
        return None
    return Delivery(
        url=row["callback_url"],
        state=DeliveryState(row["delivery_state"]),
        attempts=row["delivery_attempts"],
        next_at=row["delivery_at"],
        detail=row["delivery_detail"],
    )
