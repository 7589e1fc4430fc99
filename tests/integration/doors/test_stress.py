"""Clients of live sessions that make mistakes, or mean harm, at each of the four doors of the running service."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from benchmarks.load import API, resident, service_processes
from tests.integration.doors.conftest import Enter
from tests.support.clips import ACCEPTABLE_LOSS, SpokenClip, words_missing
from tests.support.live import live_client
from tests.support.live_doors import DOORS, Realtime, Wyoming, wyoming_chunk
from tests.support.pcm import as_pcm
from tests.support.service import LocalService
from tests.support.waiting import wait_until
from transcription.core.audio import SAMPLE_RATE

SILENCE = bytes(SAMPLE_RATE // 2)  # 0.25 s
MANY = 2000
SESSIONS = 30
MOST_BYTES = 5_000_000  # of a session
CLOSING_SECONDS = 90.0  # /live keeps the session of a lost connection for a third of that


@pytest.mark.parametrize("door", DOORS)
def test_audio_may_arrive_much_faster_than_it_is_spoken(
    enter: Enter, door: str, speech: bytes, spoken_clip: SpokenClip
) -> None:
    copies = 8
    with enter(door) as session:
        session.say((speech + bytes(SAMPLE_RATE * 2)) * copies)
        assert words_missing(" ".join([spoken_clip.text] * copies), session.text()) <= ACCEPTABLE_LOSS


@pytest.mark.parametrize("door", DOORS)
def test_thousands_of_tiny_frames_are_audio_like_any_other(
    enter: Enter, door: str, speech: bytes, spoken_clip: SpokenClip
) -> None:
    with enter(door) as session:
        for at in range(0, 2 * MANY, 2):
            session.send(session.audio(speech[at : at + 2]))
        session.say(speech[2 * MANY :])
        assert words_missing(spoken_clip.text, session.text()) <= ACCEPTABLE_LOSS
        assert session.errors == []


@pytest.mark.parametrize("door", ["live", "realtime", "wyoming"])  # an empty frame ends a session of Deepgram's
def test_frames_without_audio_are_ignored(enter: Enter, door: str) -> None:
    with enter(door) as session:
        for _ in range(MANY):
            session.send(session.audio(b""))
        session.say(SILENCE)
        assert session.text() == ""
        assert session.errors == []


@pytest.mark.parametrize("door", ["realtime", "listen", "wyoming"])  # /live waits for its client, see below
def test_of_connections_that_vanish_nothing_is_left(
    enter: Enter, client: httpx.Client, door: str, speech: bytes
) -> None:
    with enter(door) as session:
        session.say(speech[: len(speech) // 2])
        session.vanish()
    assert wait_until(lambda: "transcription_live_sessions 0.0" in client.get("/metrics").text, CLOSING_SECONDS)


def test_connections_that_are_reset_at_once_take_no_place_at_the_wyoming_port(enter: Enter, wyoming_port: int) -> None:
    for _ in range(300):  # more than there are places
        connection = socket.create_connection(("127.0.0.1", wyoming_port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    with enter("wyoming") as session:
        session.say(SILENCE)
        assert session.text() == ""


def test_a_session_goes_on_over_a_new_connection_though_the_old_one_seems_to_be_there(
    client: httpx.Client, speech: bytes, spoken_clip: SpokenClip
) -> None:
    half = len(speech) // 4 * 2
    with live_client(client) as ghost, live_client(client) as live:
        session = ghost.start(language="en", turn_detection=None)
        ghost.speak(speech[:half])
        ghost.send(type="transcript")
        ghost.until("transcript")  # all the audio has arrived
        live.send(type="resume", session=session["session"], token=session["token"])
        assert live.next()["received"] == half
        with pytest.raises(Exception, match=r"1001|another connection"):
            while True:
                ghost.next()
        live.speak(speech[half:])
        live.finish()
        assert words_missing(spoken_clip.text, live.of("final")[0]["text"]) <= ACCEPTABLE_LOSS


def test_the_format_of_audio_may_change_within_a_turn(enter: Enter, spoken_clip: SpokenClip, speech: bytes) -> None:
    telephone = as_pcm(spoken_clip.path, 8000, "mulaw")
    with enter("realtime") as session:
        assert isinstance(session, Realtime)
        session.say(speech[: len(speech) // 4 * 2])
        session.update(format={"type": "audio/pcmu"})
        session.say(telephone[len(telephone) // 2 :])
        assert words_missing(spoken_clip.text, session.text()) <= ACCEPTABLE_LOSS


def test_the_format_of_audio_may_change_within_a_recording(
    enter: Enter, spoken_clip: SpokenClip, speech: bytes
) -> None:
    other = as_pcm(spoken_clip.path, 22_050)
    half = len(other) // 4 * 2
    with enter("wyoming") as session:
        session.say(speech[: len(speech) // 4 * 2])
        for at in range(half, len(other), 4410):
            session.send(wyoming_chunk('{"rate": 22050}', other[at : at + 4410]))
        assert words_missing(spoken_clip.text, session.text()) <= ACCEPTABLE_LOSS


def test_an_update_in_the_middle_of_speech_loses_none_of_it(
    enter: Enter, speech: bytes, spoken_clip: SpokenClip
) -> None:
    with enter("realtime") as session:
        assert isinstance(session, Realtime)
        for at in range(0, len(speech), len(speech) // 8 * 2):
            session.say(speech[at : at + len(speech) // 8 * 2])
            session.update(transcription={"language": "en", "prompt": f"part {at}"})
        assert words_missing(spoken_clip.text, session.text()) <= ACCEPTABLE_LOSS
        assert session.errors == []


def test_a_buffer_may_be_cleared_again_and_again(enter: Enter, speech: bytes, spoken_clip: SpokenClip) -> None:
    with enter("realtime") as session:
        session.say(speech)
        for _ in range(100):
            session.send(session.message("input_audio_buffer.clear"))
        session.say(speech)
        assert session.text() == spoken_clip.text


def test_a_wyoming_client_may_begin_again_at_any_time(enter: Enter, speech: bytes, spoken_clip: SpokenClip) -> None:
    with enter("wyoming") as session:
        assert isinstance(session, Wyoming)
        session.say(speech)
        session.send(session.message("audio-start", rate=SAMPLE_RATE, width=2, channels=1))
        session.say(speech)
        assert words_missing(spoken_clip.text, session.text()) <= ACCEPTABLE_LOSS


def has_room(enter: Enter) -> bool:
    """Whether more sessions than one are let in: the model has no measure from a busy time."""
    with enter("live"):
        try:
            with enter("listen"):
                return True
        except InvalidStatus:
            return False


def memory_of_sessions(enter: Enter, service: LocalService, client: httpx.Client, speech: bytes) -> tuple[int, int]:
    """Open SESSIONS sessions, let them hear, and close them. Memory of the process before and meanwhile, bytes."""
    api = service_processes(service.process.pid, API)
    before = resident(api)
    with ExitStack() as stack:
        sessions = [stack.enter_context(enter(DOORS[number % len(DOORS)])) for number in range(SESSIONS)]
        assert wait_until(
            lambda: f"transcription_live_sessions {SESSIONS}.0" in client.get("/metrics").text, CLOSING_SECONDS
        )
        for number, session in enumerate(sessions):
            session.say(speech if number % 3 == 0 else SILENCE)  # decoding for all of them would take long
        for session in sessions:
            session.text()
        meanwhile = resident(api)
    assert wait_until(lambda: "transcription_live_sessions 0.0" in client.get("/metrics").text, CLOSING_SECONDS)
    return before, meanwhile


def test_a_session_takes_little_memory(
    enter: Enter, service: LocalService, client: httpx.Client, speech: bytes
) -> None:
    assert wait_until(lambda: has_room(enter))
    memory_of_sessions(enter, service, client, SILENCE)  # modules that are imported late, for example
    before, meanwhile = memory_of_sessions(enter, service, client, speech)
    assert meanwhile - before <= SESSIONS * MOST_BYTES
