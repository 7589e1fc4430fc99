"""The wire of the pool: what goes in comes out, and what is malformed is refused."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.client.interface import ModelState, RunnerState
from runners.client.wire import Reply
from runners.pool.messages import (
    LENGTH,
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    Announcement,
    Event,
    Malformed,
    Progress,
    WindowMessage,
    parse_announcement,
    parse_event,
    parse_window,
    render_line,
    render_window,
)
from transcription.core.audio import WINDOW_SAMPLES
from transcription.core.errors import ServiceUnavailable, as_failure
from transcription.core.options import DecodeOptions, EncoderContext, Priority, Task, Ticket
from transcription.core.transcript import Segment, WindowResult, Word

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
SAMPLES = st.binary(min_size=1, max_size=50).map(lambda data: np.frombuffer(data * 2, np.int16))
OPTIONS = st.builds(
    DecodeOptions,
    model=TEXTS,
    language=st.none() | TEXTS,
    task=st.sampled_from(Task),
    temperatures=st.lists(st.floats(0, 1), min_size=1, max_size=6).map(tuple),
    word_timestamps=st.booleans(),
    initial_prompt=st.none() | TEXTS,
    languages=st.lists(TEXTS, max_size=3).map(tuple),
    log_prob_threshold=st.floats(-10, 0),
    encoder_context=st.sampled_from(EncoderContext),
)
TICKETS = st.builds(Ticket, request_id=TEXTS, priority=st.sampled_from(Priority), work_id=TEXTS, caller=TEXTS)
DEATHS = st.dictionaries(TEXTS, st.floats(0, 2e9), max_size=8)
MESSAGES = st.builds(WindowMessage, SAMPLES, OPTIONS, TICKETS, DEATHS, st.booleans())
SHORT = WindowMessage(np.ones(3, np.int16), DecodeOptions("demo"), Ticket("request-1"))


@given(MESSAGES)
def test_a_window_survives_the_wire(message):
    copy = parse_window(render_window(message))

    assert copy.samples.dtype == np.int16
    assert copy.samples.tolist() == message.samples.tolist()
    assert type(copy.options) is DecodeOptions  # the device's fingerprints contain the name of the class
    assert (copy.options, copy.ticket) == (message.options, message.ticket)
    assert (copy.deaths, copy.admitted) == (message.deaths, message.admitted)


@given(st.binary(max_size=300))
def test_any_other_bytes_are_malformed_and_nothing_else(body):
    with pytest.raises(Malformed):
        parse_window(body)


@given(MESSAGES, st.data())
def test_a_truncated_header_is_malformed(message, data):
    body = render_window(message)
    end = data.draw(st.integers(0, LENGTH.size + LENGTH.unpack_from(body)[0]))

    with pytest.raises(Malformed):
        parse_window(body[:end])


def with_header(header: bytes, sound: bytes = b"\0\0") -> bytes:
    return LENGTH.pack(len(header)) + header + sound


def changed(**fields: object) -> bytes:
    body = render_window(SHORT)
    header = json.loads(body[LENGTH.size : LENGTH.size + LENGTH.unpack_from(body)[0]])
    return with_header(json.dumps({**header, **fields}).encode())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (with_header(b" " * (MAX_HEADER_BYTES + 1)), "at most"),
        (with_header(b"{}", b""), "samples"),
        (with_header(b"{}", b"\0"), "samples"),
        (with_header(b"{}", b"\0" * (2 * WINDOW_SAMPLES + 2)), "samples"),
        (changed(options={"model": "demo", "newer": 1}), "options.newer"),
        (changed(newer=1), "newer"),
        (changed(ticket={"request_id": "a", "priority": "newer"}), "ticket.priority"),
        (changed(died={str(number): 1.0 for number in range(9)}), "died"),
        (changed(options={"model": "demo", "temperatures": []}), "temperature"),
        (changed(options={"model": "m" * 2000}), "characters"),
    ],
)
def test_a_malformed_window_is_refused_with_the_reason(body, reason):
    with pytest.raises(Malformed, match=reason):
        parse_window(body)


def test_the_longest_window_fits_into_the_largest_body():
    prompt = "\N{GRINNING FACE}" * 2000
    options = DecodeOptions("demo", initial_prompt=prompt, hotwords=prompt)
    message = WindowMessage(np.zeros(WINDOW_SAMPLES, np.int16), options, Ticket("r" * 200))

    body = render_window(message)
    assert len(body) <= MAX_BODY_BYTES
    assert parse_window(body).options == options


def test_version_1_reads_what_version_1_has_written():
    """If this fails, other processes of a rolling update fail too: the wire needs a new version."""
    header = (
        b'{"options":{"model":"base","language":"de","beam_size":1,"word_timestamps":true},'
        b'"ticket":{"request_id":"a","priority":"background","work_id":"w"},"admitted":true}'
    )
    message = parse_window(with_header(header, b"\x01\x00\xff\xff"))

    assert message.samples.tolist() == [1, -1]
    assert message.options == DecodeOptions(
        model="base",
        language="de",
        task=Task.TRANSCRIBE,
        beam_size=1,
        best_of=5,
        temperatures=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        word_timestamps=True,
        initial_prompt=None,
        hotwords=None,
        languages=(),
        only_language=False,
        compression_ratio_threshold=2.4,
        log_prob_threshold=-1.0,
        no_speech_threshold=0.6,
        encoder_context=EncoderContext.AUTO,
    )
    assert message.ticket == Ticket("a", Priority.BACKGROUND, "w")
    assert render_window(message) == with_header(header, b"\x01\x00\xff\xff")


def test_events_survive_the_wire():
    segment = Segment(0.0, 1.0, " hi", (1, 2), -0.1, 0.9, 0.01, 0.0, words=(Word(" hi", 0.1, 0.2, 0.9),))
    events = [
        Event(progress=Progress.QUEUED, backlog_seconds=1.5),
        Event(progress=Progress.RUNNING),
        Event(reply=Reply(result=WindowResult("en", 0.9, (segment,)))),
        Event(reply=Reply(failure=as_failure(ServiceUnavailable("full", "detail", 12.5)))),
        Event(),
    ]
    lines = [render_line(event) for event in events]

    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert [parse_event(line) for line in lines] == events
    assert parse_event(render_line(None)) == Event()


def test_a_state_of_another_version_is_understood():
    state = RunnerState(True, "cpu", "int8", (ModelState("demo", True, True),), "", 2.5)
    line = render_line(Announcement(wire=(1, 2), instance="i", draining=True, window_seconds=0.5, state=state))
    newer = json.dumps({**json.loads(line), "wire": [2, 3], "news": {}}).encode()

    assert parse_announcement(line).state == state
    assert parse_announcement(newer).wire == (2, 3)


@given(st.binary(min_size=1, max_size=100).filter(lambda line: line.strip()))
def test_any_other_line_is_malformed(line):
    with pytest.raises(Malformed):
        parse_announcement(line)
    with contextlib.suppress(Malformed):
        parse_event(line)
