"""The wire between the pool's client and a runner, version 1. Parses and renders only: no I/O.

`POST /runner/v1/windows` takes one window: the length of the header in four bytes, big-endian; the header, JSON in
UTF-8; the samples, little-endian int16. Nothing on the wire can name code to run, as a pickle could. The answer is a
stream of lines of JSON: the window's progress, an empty line as a sign of life, and last its reply.

`GET /runner/watch` is a stream of the runner's state and is the same in every version: it says which versions of the
wire the runner speaks, so that a client asks only those that understand it.

Fields with their default value are left out. A runner refuses a header with a field that it does not know, because it
would decode something else than was asked; a client ignores unknown fields of a reply. So a new option with a default
needs no new version: older runners refuse only the windows that use it, and the client asks another runner. Everything
else that changes, a default included, needs a new version. The name of a field is not used again for something else:
earlier versions had `deaths`, without instances.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from runners.client.interface import RunnerState
from runners.client.wire import Reply
from transcription.core.audio import WINDOW_SAMPLES
from transcription.core.options import DecodeOptions, Ticket

WIRE_VERSION = 1
PREFIX = "/runner"
WATCH_PATH = "/watch"
WINDOWS_PATH = f"/v{WIRE_VERSION}/windows"
WINDOW_TYPE = "application/x-transcription-window"
EVENTS_TYPE = "application/x-ndjson"

LENGTH = struct.Struct("!I")  # of the header
MAX_HEADER_BYTES = 65_536  # two prompts of 2,000 characters at four bytes each, and room for the rest
BYTES_PER_SAMPLE = 2
MAX_BODY_BYTES = LENGTH.size + MAX_HEADER_BYTES + WINDOW_SAMPLES * BYTES_PER_SAMPLE  # about 1 MB
MAX_LINE_BYTES = 4_194_304  # a reply of 30 s with words takes less than a twentieth of it
MAX_DEATHS = 8  # that a header may list; two are enough for a verdict
MAX_TOLD = 32  # windows with deaths in a state, the latest ones
MAX_ID_CHARACTERS = 1024
HEARTBEAT_SECONDS = 2.0  # between signs of life of a window that waits or is decoded
WATCH_SECONDS = 0.5  # between two states


class Malformed(ValueError):
    """A message that does not follow the format, with the reason."""


class Progress(StrEnum):
    """How far a window is. Running: on the device, so that it may be the reason if the runner dies now."""

    QUEUED = "queued"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class WindowMessage:
    """One window on its way to a runner.

    samples: int16, shape (n,), 16 kHz mono, 0 < n <= WINDOW_SAMPLES.
    deaths: of runners with it on their device: times by instance, seconds since the epoch.
    admitted: see `runners.batching.delivery.Delivery`.
    """

    samples: NDArray[np.int16]
    options: DecodeOptions
    ticket: Ticket
    deaths: Mapping[str, float] = field(default_factory=dict)
    admitted: bool = False


_STRICT = ConfigDict(extra="forbid")
_Instance = Annotated[str, Field(max_length=MAX_ID_CHARACTERS)]


@validated(config=_STRICT, frozen=True)
class _Options(DecodeOptions):
    pass


@validated(config=_STRICT, frozen=True)
class _Ticket(Ticket):
    pass


class _Header(BaseModel):
    model_config = _STRICT

    options: _Options
    ticket: _Ticket
    died: dict[_Instance, float] = Field(default_factory=dict, max_length=MAX_DEATHS)
    admitted: bool = False


class Announcement(BaseModel):
    """One line of the stream of states.

    wire: versions that the runner speaks. instance: changes with every start of its process.
    draining: it finishes what it has, and takes no more windows.
    callers: it knows the callers of windows; older ones refuse a ticket that names one.
    detected_languages: it knows that a language may be detected; older ones refuse options that say so.
    window_seconds: estimated seconds by which one more window lengthens the backlog.
    died: deaths that clients have told this process: as in WindowMessage, by fingerprint of the window.
    """

    model_config = ConfigDict(extra="ignore")

    wire: tuple[int, ...]
    instance: _Instance
    draining: bool = False
    callers: bool = False
    detected_languages: bool = False
    window_seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    died: dict[str, dict[str, float]] = Field(default_factory=dict)
    state: RunnerState


class Event(BaseModel):
    """One line of the answer to a window. Exactly one of progress and reply is set, and a reply is the last event.

    backlog_seconds, instance: of the runner; come with QUEUED.
    """

    model_config = ConfigDict(extra="ignore")

    progress: Progress | None = None
    backlog_seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    instance: _Instance = ""
    reply: Reply | None = None


_OPTIONS, _TICKET = TypeAdapter(DecodeOptions), TypeAdapter(Ticket)


def render_window(message: WindowMessage) -> bytes:
    """The body of a request."""
    header: dict[str, Any] = {
        "options": {"model": message.options.model, **_OPTIONS.dump_python(message.options, **_SPARSE)},
        "ticket": {"request_id": message.ticket.request_id, **_TICKET.dump_python(message.ticket, **_SPARSE)},
    }
    if message.deaths:
        header["died"] = dict(list(message.deaths.items())[-MAX_DEATHS:])
    if message.admitted:
        header["admitted"] = True
    encoded = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return b"".join((LENGTH.pack(len(encoded)), encoded, message.samples.astype("<i2", copy=False).tobytes()))


_SPARSE: dict[str, Any] = {"mode": "json", "exclude_defaults": True}


def parse_window(body: bytes) -> WindowMessage:
    """The window in the body of a request. Raises Malformed."""
    if len(body) < LENGTH.size:
        raise Malformed("The message ends before its header.")
    length = LENGTH.unpack_from(body)[0]
    if length > MAX_HEADER_BYTES:
        raise Malformed(f"The header has {length} bytes; at most {MAX_HEADER_BYTES} are allowed.")
    start = LENGTH.size + length
    sound = len(body) - start
    if not 0 < sound <= WINDOW_SAMPLES * BYTES_PER_SAMPLE or sound % BYTES_PER_SAMPLE:
        raise Malformed(f"A window has 1 to {WINDOW_SAMPLES} samples of {BYTES_PER_SAMPLE} bytes, not {sound} bytes.")
    try:
        header = _Header.model_validate_json(body[LENGTH.size : start])
    except ValidationError as error:
        fields = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:3])
        raise Malformed(f"The header cannot be read: {fields}") from error
    _check(header)
    samples = np.frombuffer(body, "<i2", offset=start).astype(np.int16, copy=False)
    options = DecodeOptions(**_fields(header.options))
    return WindowMessage(samples, options, Ticket(**_fields(header.ticket)), header.died, header.admitted)


def parse_announcement(line: bytes) -> Announcement:
    """The state in one line. Raises Malformed."""
    try:
        return Announcement.model_validate_json(line)
    except ValidationError as error:
        raise Malformed(f"The runner's state cannot be read: {error.errors()[0]['msg']}") from error


def parse_event(line: bytes) -> Event:
    """The event in one line; an empty one for a sign of life. Raises Malformed."""
    if not line.strip():
        return Event()
    try:
        return Event.model_validate_json(line)
    except ValidationError as error:
        raise Malformed(f"The runner's answer cannot be read: {error.errors()[0]['msg']}") from error


def render_line(message: BaseModel | None) -> bytes:
    """One line of a stream; an empty one, a sign of life, without a message."""
    return (message.model_dump_json(exclude_defaults=True).encode() if message else b"") + b"\n"


def _check(header: _Header) -> None:
    names = (header.ticket.request_id, header.ticket.work_id, header.options.model)
    if any(len(name) > MAX_ID_CHARACTERS for name in names):
        raise Malformed(f"A name in the header has more than {MAX_ID_CHARACTERS} characters.")
    if not header.options.temperatures:
        raise Malformed("The header lists no temperature.")


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__dataclass_fields__}
