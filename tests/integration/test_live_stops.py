"""Live sessions of a service that stops while people speak: each client gets the text of what it has said."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from websockets.frames import CloseCode

from tests.support.clips import ACCEPTABLE_LOSS, SpokenClip, words_missing
from tests.support.live_doors import DOORS, TRANSCRIPTION, WEBSOCKETS, Closed, Door, Listen, Live, Realtime, opened
from tests.support.pcm import as_pcm
from tests.support.service import free_port, serve
from transcription.bentoml_patches.sockets import STOP_SECONDS
from transcription.core.audio import SAMPLE_RATE

TURNS = "realtime, turns found by the service"
CODES = {"live": CloseCode.GOING_AWAY, "realtime": CloseCode.GOING_AWAY, "listen": CloseCode.NORMAL_CLOSURE}


@dataclass(frozen=True, slots=True)
class Stopped:
    """Clients of a service that has stopped, by door, with all that they were sent. seconds: until the last text."""

    sessions: Mapping[str, Door]
    seconds: float


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, spoken_clip: SpokenClip) -> Iterator[Stopped]:
    """All clients are within an utterance when the signal comes."""
    wyoming_port = free_port()
    speech = as_pcm(spoken_clip.path, SAMPLE_RATE)
    with ExitStack() as stack:
        service = stack.enter_context(serve(tmp_path_factory.mktemp("stop"), WYOMING_PORT=str(wyoming_port)))
        assert service.logged('"wyoming_listens"')
        sessions = {door: stack.enter_context(opened(door, service, wyoming_port)) for door in DOORS}
        sessions[TURNS] = turns = stack.enter_context(opened("realtime", service, wyoming_port))
        assert isinstance(turns, Realtime)
        turns.update(turn_detection={"type": "server_vad"})
        for session in sessions.values():
            session.say(speech)
            session.send(session.message("transcribe", name=0))
            assert session.error()  # so the audio before it has been taken
        started = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        for session in sessions.values():
            read_to_the_end(session)
        yield Stopped(sessions, time.monotonic() - started)


def read_to_the_end(session: Door) -> None:
    """Until the service closes the connection."""
    try:
        while True:
            session.read()
    except (Closed, ConnectionError):
        return


@pytest.mark.parametrize("door", [*DOORS, TURNS])
def test_what_was_said_before_the_stop_gets_its_final_text(
    stopped: Stopped, spoken_clip: SpokenClip, door: str
) -> None:
    assert words_missing(spoken_clip.text, " ".join(stopped.sessions[door].finals)) <= ACCEPTABLE_LOSS


def test_all_sessions_end_in_the_time_that_a_stop_leaves_them(stopped: Stopped) -> None:
    assert stopped.seconds < STOP_SECONDS


def test_a_turn_of_realtime_is_committed_and_completed(stopped: Stopped) -> None:
    kinds = kinds_of(stopped.sessions["realtime"])
    assert kinds.index("input_audio_buffer.committed") < kinds.index(f"{TRANSCRIPTION}.completed") == len(kinds) - 1


def test_a_turn_that_the_service_ends_has_stopped_before_it_is_committed(stopped: Stopped) -> None:
    kinds = kinds_of(stopped.sessions[TURNS])
    ends = ["input_audio_buffer.speech_stopped", "input_audio_buffer.committed", f"{TRANSCRIPTION}.completed"]
    assert [kind for kind in kinds if kind in ends] == ends


def test_listen_ends_as_after_close_stream(stopped: Stopped) -> None:
    assert kinds_of(stopped.sessions["listen"])[-2:] == ["Results", "Metadata"]


@pytest.mark.parametrize("door", WEBSOCKETS)
def test_the_connection_is_closed_by_the_session_and_not_by_the_server(stopped: Stopped, door: str) -> None:
    session = stopped.sessions[door]
    assert isinstance(session, Live | Realtime | Listen)
    assert session.connection.close_code == CODES[door]


def kinds_of(session: Door) -> list[str]:
    assert isinstance(session, Live | Realtime | Listen)
    return session.kinds
