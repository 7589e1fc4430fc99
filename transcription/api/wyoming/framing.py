"""Events of the Wyoming protocol as bytes: a line of JSON, then more JSON and a payload, if the line says so.

The package wyoming reads whatever length a peer names into memory; here everything has a limit.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from transcription.core.errors import InvalidParameter

MAX_LINE_BYTES = 65_536
MAX_DATA_BYTES = 65_536
MAX_PAYLOAD_BYTES = 1_048_576  # clients send about 2 KB, 64 ms
VERSION = "1.10.2"  # of the protocol's reference implementation


@dataclass(frozen=True, slots=True)
class Event:
    """One event. payload: audio, for example."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""


class Header(BaseModel):
    """The line that begins an event. data_length, payload_length: bytes that follow it."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(max_length=100)
    data: dict[str, Any] | None = None
    data_length: int | None = Field(None, ge=0, le=MAX_DATA_BYTES)
    payload_length: int | None = Field(None, ge=0, le=MAX_PAYLOAD_BYTES)


_HEADER: TypeAdapter[Header] = TypeAdapter(Header)
_DATA: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class BrokenStream(InvalidParameter):
    """What follows in the stream cannot be told apart into events any more."""


def parse_header(line: bytes) -> Header:
    """Raises BrokenStream."""
    try:
        return _HEADER.validate_json(line, strict=True)
    except ValidationError as error:
        raise BrokenStream(f"An event must begin with a line of JSON with its type. {_first(error)}") from None


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """The next event; None at the end of the stream. Raises BrokenStream, and InvalidParameter for one wrong event.

    reader: with a limit of at least MAX_LINE_BYTES.
    """
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise BrokenStream(f"The first line of an event has more than {MAX_LINE_BYTES} bytes.") from None
    header = parse_header(line)
    try:
        more = await reader.readexactly(header.data_length or 0)
        payload = await reader.readexactly(header.payload_length or 0)
    except asyncio.IncompleteReadError:
        return None
    data = header.data or {}
    if more:
        try:
            data = data | _DATA.validate_json(more, strict=True)
        except ValidationError as error:
            raise InvalidParameter(f"The data of an event must be a JSON object. {_first(error)}") from None
    return Event(header.type, data, payload)


def encode(event: Event) -> bytes:
    """An event as bytes."""
    data = json.dumps(event.data, ensure_ascii=False).encode() if event.data else b""
    header: dict[str, Any] = {"type": event.type, "version": VERSION}
    if data:
        header["data_length"] = len(data)
    if event.payload:
        header["payload_length"] = len(event.payload)
    return json.dumps(header).encode() + b"\n" + data + event.payload


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}." if place else f"{first['msg']}."
