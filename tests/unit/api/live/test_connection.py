"""One connection of WS /live, with a client who is silent or does not read, in simulated time."""

import asyncio
import json

import pytest
from starlette.websockets import WebSocket

from benchmarks.simulated import SimulatedLoop
from tests.support.quiet_client import QuietClient
from transcription.api.client_socket import IDLE_SECONDS
from transcription.api.live.connection import Connection
from transcription.api.live.conversations import RESUME_SECONDS, Conversations
from transcription.api.live.messages import Resume
from transcription.core.errors import UnknownSession
from transcription.core.settings import Settings
from transcription.live.allowance import LiveClient
from transcription.live.sessions import LiveSessions

START = {"text": '{"type":"start","language":"en"}'}


def served(client):
    """Serve the client until the connection ends. Returns when it ended, and the sessions then and later."""

    async def serve():
        loop = asyncio.get_running_loop()
        settings = Settings(whisper_model="demo")
        sessions = LiveSessions(None, settings, loop.time)
        conversations = Conversations(sessions, settings)
        socket = WebSocket({"type": "websocket", "headers": []}, client.receive, client.send)
        await socket.accept()
        await Connection(socket, conversations, LiveClient("ann"), "request", write_timeout=5.0).serve()
        ended, left = loop.time(), len(sessions)
        await asyncio.sleep(RESUME_SECONDS + 1)
        return ended, left, len(sessions)

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(serve())


def test_a_client_that_says_nothing_is_told_so_and_disconnected():
    client = QuietClient()
    ended, left, _ = served(client)
    assert (ended, left) == (IDLE_SECONDS, 0)
    assert client.events()[-1]["error"] == "upload_too_slow"
    assert client.close_code() is not None


def test_a_session_without_frames_is_closed_and_waits_for_its_client_for_a_while():
    ended, left, later = served(QuietClient(START))
    assert (ended, left, later) == (IDLE_SECONDS, 1, 0)


def test_a_client_that_does_not_read_is_disconnected():
    ended, _, later = served(QuietClient(START, reads=False))
    assert ended < IDLE_SECONDS
    assert later == 0


@pytest.mark.parametrize(("code", "held"), [(1000, 0), (1001, 1), (1006, 1)])
def test_a_session_waits_for_a_client_that_did_not_close_it(code, held):
    _, left, later = served(QuietClient(START, gone=code))
    assert (left, later) == (held, 0)


class Finisher(QuietClient):
    """Finishes its session, and is gone with a code once it has been sent the last event."""

    def __init__(self, code):
        super().__init__(START, {"text": '{"type":"finish"}'})
        self._code = code
        self._finished = asyncio.Event()

    async def receive(self):
        if self._frames:
            return await super().receive()
        await self._finished.wait()
        return {"type": "websocket.disconnect", "code": self._code}

    async def send(self, message):
        await super().send(message)
        if '"finished"' in message.get("text", ""):
            self._finished.set()


@pytest.mark.parametrize(
    ("code", "seconds", "known"),
    [
        (1000, 0, False),  # it has got everything
        (1001, 0, True),
        (1006, RESUME_SECONDS - 1, True),
        (1006, RESUME_SECONDS + 1, False),
    ],
)
def test_a_finished_session_waits_for_a_client_that_may_not_have_got_its_last_text(code, seconds, known):
    client = Finisher(code)

    async def serve():
        settings = Settings(whisper_model="demo")
        sessions = LiveSessions(None, settings, asyncio.get_running_loop().time)
        conversations = Conversations(sessions, settings)
        socket = WebSocket({"type": "websocket", "headers": []}, client.receive, client.send)
        await socket.accept()
        await Connection(socket, conversations, LiveClient("ann"), "request", write_timeout=5.0).serve()
        await asyncio.sleep(seconds)
        assert len(sessions) == 0  # it takes no place meanwhile
        started = client.events()[0]
        conversations.resume(Resume(type="resume", session=started["session"], token=started["token"]))

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        if known:
            runner.run(serve())
        else:
            with pytest.raises(UnknownSession):
                runner.run(serve())


class Ghost(QuietClient):
    """Its frames arrive late, and it does not answer the close of its connection."""

    def __init__(self):
        super().__init__(START)
        self.late = asyncio.Queue()

    async def receive(self):
        return await (super().receive() if self._frames else self.late.get())

    async def send(self, message):
        await super().send(message)
        if message["type"] == "websocket.close":
            await asyncio.Event().wait()


def test_audio_of_a_connection_that_was_replaced_is_not_taken():
    ghost = Ghost()

    async def serve():
        settings = Settings(whisper_model="demo")
        conversations = Conversations(LiveSessions(None, settings, asyncio.get_running_loop().time), settings)

        async def connect(client):
            socket = WebSocket({"type": "websocket", "headers": []}, client.receive, client.send)
            await socket.accept()
            await Connection(socket, conversations, LiveClient("ann"), "request", write_timeout=5.0).serve()

        async with asyncio.TaskGroup() as group:
            group.create_task(connect(ghost))
            await asyncio.sleep(1)
            (session,) = ghost.events()
            resume = {"type": "resume", "session": session["session"], "token": session["token"]}
            second = QuietClient({"text": json.dumps(resume)})
            group.create_task(connect(second))
            while not second.events():
                await asyncio.sleep(0)
            for _ in range(3):
                ghost.late.put_nowait({"type": "websocket.receive", "bytes": bytes(3200)})
            await asyncio.sleep(1)
            received = conversations.resume(Resume(**resume)).received
            return second.events()[0]["received"], received

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        told, received = runner.run(serve())
    assert told == received == 0
    assert ghost.close_code() == 1001


def test_a_service_without_live_sessions_says_so():
    client = QuietClient(START)

    async def serve():
        settings = Settings(whisper_model="demo", max_live_sessions=0)
        conversations = Conversations(LiveSessions(None, settings), settings)
        socket = WebSocket({"type": "websocket", "headers": []}, client.receive, client.send)
        await socket.accept()
        await Connection(socket, conversations, LiveClient("ann"), "request", write_timeout=5.0).serve()

    asyncio.run(serve())
    assert client.events()[0]["error"] == "service_unavailable"
    assert client.events()[0]["retry_after"] > 0
    assert client.close_code() == 1013
