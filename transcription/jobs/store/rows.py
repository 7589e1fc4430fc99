"""Converts jobs, windows and transcripts to stored values and back."""

from __future__ import annotations

import json
import math
import re
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Generic, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter

from formats.registry import ResponseFormat
from transcription.core.errors import Failure
from transcription.core.options import TranscriptionRequest
from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs.job import Delivery, DeliveryState, Job, JobStatus, KeptLayout, NewJob, Recording
from transcription.jobs.store.unreadable import (
    READ_ERRORS,
    Implausible,
    reason_of,
    seconds,
    seconds_or_none,
    text,
    unreadable_job,
    whole,
)

T = TypeVar("T")
Row = sqlite3.Row | Mapping[str, Any]

# A model may compute NaN or infinity, which JSON has no notation for.
_CONSTANTS = ConfigDict(ser_json_inf_nan="constants", defer_build=True)
# An option that a newer version stored must not be ignored: the text would be another one than was asked for.
_KNOWN_OPTIONS = _CONSTANTS | ConfigDict(extra="forbid")


class Codec(Generic[T]):
    """Converts a dataclass to JSON and back."""

    def __init__(self, kind: type[T], config: ConfigDict = _CONSTANTS) -> None:
        # A tuple, because pydantic accepts no configuration for a dataclass.
        self._adapter: TypeAdapter[Any] = TypeAdapter(tuple[kind], config=config)  # type: ignore[valid-type]

    def pack(self, value: T) -> str:
        return self._adapter.dump_json((value,)).decode()

    def unpack(self, packed: str | bytes) -> T:
        (value,) = self._adapter.validate_json(packed)
        return cast(T, value)


REQUEST = Codec(TranscriptionRequest, _KNOWN_OPTIONS)
RECORDING = Codec(Recording)
PLACED = Codec(PlacedResult)
LAYOUT = Codec(KeptLayout, _KNOWN_OPTIONS)
_TRANSCRIPT = Codec(Transcript)


def pack_transcript(transcript: Transcript) -> bytes:
    return zlib.compress(_TRANSCRIPT.pack(transcript).encode())


def unpack_transcript(packed: bytes) -> Transcript:
    """Raises one of READ_ERRORS."""
    transcript = _TRANSCRIPT.unpack(zlib.decompress(packed))
    times = (time for segment in transcript.segments for time in (segment.start, segment.end))
    if not (math.isfinite(transcript.duration) and all(map(math.isfinite, times))):
        raise Implausible("a time is not a number")
    return transcript


def file_of(stored: bytes) -> Recording | None:
    """The file that a description stands for; None if the transcript itself is stored, which is zlib's format.

    Raises one of READ_ERRORS.
    """
    return _recording(stored) if stored[:1] == b"[" else None


def unpack_window(packed: str | bytes) -> PlacedResult:
    """Raises one of READ_ERRORS."""
    placed = PLACED.unpack(packed)
    if not (placed.timeline.spans and math.isfinite(placed.timeline.end)):
        raise Implausible("a window without a place in the file")
    return placed


def readable_windows(
    packed: Sequence[str | bytes], decompress: Callable[[Any], str | bytes] | None = None
) -> list[PlacedResult]:
    """The windows up to the first one that cannot be read."""
    windows = []
    for item in packed:
        try:
            windows.append(unpack_window(decompress(item) if decompress else item))
        except READ_ERRORS:
            break
    return windows


def pack_failure(failure: Failure) -> str:
    """A failure as JSON. Its code is called `kind`, as in older versions, which may share the store in an upgrade."""
    return json.dumps([{"kind": failure.code, "message": failure.message, "detail": failure.detail}])


def unpack_failure(packed: str | bytes) -> Failure:
    """The failure in JSON. Class names are accepted as codes, too: until version 1.0 they were stored instead.

    Raises one of READ_ERRORS.
    """
    (stored,) = json.loads(packed)
    return Failure(_code_of(text(stored["kind"])), text(stored["message"]), text(stored["detail"]))


# Names of classes whose code is not their name in snake case.
_CODES_OF_CLASSES = {
    "TranscriptionError": "internal_error",
    "RefusedWindow": "refused_recording",
    "TooManyJobs": "too_many_open_jobs",
    "DecoderFailedOnce": "decoder_failed",
    "OutcomeUnknown": "service_unavailable",
    "RecordingsUnavailable": "service_unavailable",
    "ResultUnavailable": "service_unavailable",
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
        "idempotency_key": own_key(new.caller, new.idempotency_key),
        "callback_url": new.callback_url,
        "request_id": new.request_id,
        "layout": LAYOUT.pack(new.layout) if new.layout else None,
        "caller": new.caller,
    }


def own_key(caller: str, idempotency_key: str | None) -> str | None:
    """The idempotency key, made unique to its caller. Neither a name nor a header contains a line break."""
    if idempotency_key is None or not caller:
        return idempotency_key
    return f"{caller}\n{idempotency_key}"


def shown_job(row: Row) -> Job:
    """The job as shown to clients. Never fails: see `job_of`. row: of `queries.SHOWN_JOBS`."""
    job = job_of(row)
    if not job.readable or row["shown_status"] == row["status"]:
        return job
    with suppress(Implausible):  # the leader itself cannot be read, and fails when it is claimed
        return replace(
            job,
            status=JobStatus.PROCESSING,
            started_at=seconds_or_none(row["leader_started_at"]),
            seconds_done=max(seconds(row["leader_seconds_done"]), job.seconds_done),
            seconds_total=seconds_or_none(row["leader_seconds_total"]) or job.seconds_total,
        )
    return job


def job_of(row: Row) -> Job:
    """The job of a row of the table. One that cannot be read is failed, with the reason: `Job.readable`."""
    fields: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, read in _COLUMNS.items():
        try:
            fields[name] = read(row[name])
        except READ_ERRORS as error:
            problems[name] = reason_of(error)
    try:
        fields["delivery"] = _delivery_of(row)
    except READ_ERRORS as error:
        problems["delivery"] = reason_of(error)
    return unreadable_job(fields, problems) if problems else Job(**fields)


def _format(value: Any) -> str:
    return ResponseFormat(value).value


def _recording(value: Any) -> Recording:
    recording = RECORDING.unpack(value)
    if not recording.name or recording.name.startswith(".") or "/" in recording.name:
        raise Implausible("a name that no recording has")
    return recording


def recording_name(job_id: str, packed: str | bytes) -> str:
    """The name of a job's recording. If that cannot be read, the id of the job, under which recordings are stored."""
    try:
        return _recording(packed).name
    except READ_ERRORS:
        return job_id


# How each column becomes the field of a Job of that name.
_COLUMNS: Mapping[str, Callable[[Any], Any]] = {
    "id": text,
    "number": whole,
    "work": text,
    "status": JobStatus,
    "request": REQUEST.unpack,
    "recording": _recording,
    "response_format": _format,
    "created_at": seconds,
    "started_at": seconds_or_none,
    "finished_at": seconds_or_none,
    "expires_at": seconds_or_none,
    "not_before": seconds,
    "attempt": whole,
    "failures": whole,
    "seconds_done": seconds,
    "seconds_total": seconds_or_none,
    "failure": lambda value: unpack_failure(value) if value else None,
    "request_id": text,
    "caller": text,
    "layout": lambda value: LAYOUT.unpack(value) if value else None,
    "result": lambda value: "" if value is None else str(value),
}


def _delivery_of(row: Row) -> Delivery | None:
    if row["callback_url"] is None:
        return None
    return Delivery(
        url=text(row["callback_url"]),
        state=DeliveryState(row["delivery_state"]),
        attempts=whole(row["delivery_attempts"]),
        next_at=seconds_or_none(row["delivery_at"]),
        detail=text(row["delivery_detail"]),
    )
