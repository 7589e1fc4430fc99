"""Events of the Wyoming protocol, read from bytes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.api.wyoming.framing import (
    MAX_LINE_BYTES,
    MAX_PAYLOAD_BYTES,
    BrokenStream,
    Event,
    encode,
    parse_header,
    read_event,
)
from transcription.core.errors import InvalidParameter


def read_all(data: bytes) -> list[Event]:
    """Every event up to the end of the stream. Raises BrokenStream."""

    async def read() -> list[Event]:
        reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        reader.feed_data(data)
        reader.feed_eof()
        events = []
        while event := await read_event(reader):
            events.append(event)
        return events

    return asyncio.run(read())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=10,
)
EVENTS = st.builds(
    Event,
    st.text(st.characters(codec="utf-8"), max_size=100),
    st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=4),
    st.binary(max_size=5000),
)


@given(st.lists(EVENTS, max_size=3))
def test_what_was_encoded_is_read_again(events: list[Event]) -> None:
    assert read_all(b"".join(map(encode, events))) == events


def test_data_may_be_in_the_line_and_after_it() -> None:
    line = {"type": "audio-start", "data": {"rate": 1, "width": 2}, "data_length": 11}
    assert read_all(json.dumps(line).encode() + b'\n{"rate": 3}') == [Event("audio-start", {"rate": 3, "width": 2})]


@pytest.mark.parametrize("missing", [1, 30, 39])
def test_an_event_that_is_cut_off_is_the_end(missing: int) -> None:
    assert read_all(encode(Event("audio-chunk", {"rate": 1}, b"\0" * 8))[:-missing]) == []


@pytest.mark.parametrize(
    "header",
    [
        {},
        [],
        {"type": 1},
        {"type": "x", "payload_length": MAX_PAYLOAD_BYTES + 1},
        {"type": "x", "payload_length": -1},
        {"type": "x", "data_length": 10**18},
        {"type": "x", "data": []},
    ],
)
def test_a_header_that_is_wrong_or_announces_too_much_is_refused(header: Any) -> None:
    with pytest.raises(BrokenStream):
        parse_header(json.dumps(header).encode())


def test_a_line_without_an_end_is_refused() -> None:
    with pytest.raises(BrokenStream, match="65536"):
        read_all(b"x" * (2 * MAX_LINE_BYTES + 1))


@given(st.binary() | st.lists(st.binary(max_size=40) | EVENTS.map(encode), max_size=4).map(b"".join))
def test_any_bytes_are_events_or_refused(data: bytes) -> None:
    try:
        read_all(data)
    except InvalidParameter as error:
        assert error.message


def test_an_event_whose_data_is_no_object_is_refused_alone() -> None:
    async def read() -> Event | None:
        reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        reader.feed_data(b'{"type": "ping", "data_length": 2, "payload_length": 1}\n[]x' + encode(Event("describe")))
        with pytest.raises(InvalidParameter) as refused:
            await read_event(reader)
        assert not isinstance(refused.value, BrokenStream)
        return await read_event(reader)

    assert asyncio.run(read()) == Event("describe")
