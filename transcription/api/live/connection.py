"""One connection of WS /live: frames in, frames out."""

from __future__ import annotations

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

from transcription.api.client_socket import (
    GOING_AWAY,
    MOST_FRAME_BYTES,
    NORMAL,
    ClientSocket,
    Silent,
    until_one_ends,
)
from transcription.api.errors import public_message
from transcription.api.live.conversation import Conversation
from transcription.api.live.conversations import RESUME_SECONDS, Conversations
from transcription.api.live.messages import (
    Control,
    Document,
    Resume,
    Start,
    WantTranscript,
    encode,
    error_document,
    parse,
)
from transcription.core.errors import (
    InvalidParameter,
    ServiceUnavailable,
    TooManyRequests,
    TranscriptionError,
    UploadTooSlow,
)
from transcription.live.allowance import LiveClient

SUBPROTOCOL = "transcription.live"
TRY_AGAIN_LATER, POLICY_VIOLATION = 1013, 1008  # close codes, IANA and RFC 6455
DELIBERATE = frozenset({NORMAL})  # codes with which a client ends a session; it may come back after any other


class Connection:
    """Serves one accepted WebSocket. client, request_id: of the session it starts. write_timeout: seconds."""

    def __init__(
        self,
        websocket: WebSocket,
        conversations: Conversations,
        client: LiveClient,
        request_id: str,
        write_timeout: float,
    ) -> None:
        self._socket = ClientSocket(websocket, write_timeout)
        self._conversations = conversations
        self._client = client
        self._request_id = request_id
        self._conversation: Conversation | None = None
        self._replaced = asyncio.Event()  # the client has come back over another connection

    async def serve(self) -> None:
        """Until the connection ends.

        The session then waits for its client, unless that has ended it. So does a finished one: what was sent before
        the connection dropped may not have arrived.
        """
        code = NORMAL
        try:
            opened = await self._open()
            if opened is not None:
                await until_one_ends(self._send_events(*opened), self._receive(opened[0]), self._leave())
                if self._replaced.is_set():
                    await self._socket.close(GOING_AWAY, "The session goes on over another connection.")
        except WebSocketDisconnect as end:
            code = end.code
        finally:
            if (conversation := self._conversation) and not self._replaced.is_set():
                if code in DELIBERATE or self._conversations.stopping:
                    await asyncio.shield(self._conversations.close(conversation))
                else:
                    self._conversations.hold(conversation)

    async def _open(self) -> tuple[Conversation, int] | None:
        """The session, new or resumed, and the number of the last event that the client has. None if there is none."""
        while True:
            try:
                message = await self._message()
                if isinstance(message, Start):
                    conversation = await self._conversations.open(message, self._client, self._request_id)
                    self._attach(conversation)  # before anything is sent: the client may be gone
                    await self._greet(conversation, resumed=False)
                    return conversation, 0
                if isinstance(message, Resume):
                    self._attach(conversation := self._conversations.resume(message))
                    await self._greet(conversation, resumed=True)
                    return conversation, message.after
                raise InvalidParameter(
                    'The first frame must be a message {"type":"start"} or {"type":"resume"}. It was ignored.'
                )
            except Silent as end:
                await self._end_silence(end, POLICY_VIOLATION)
                return None
            except TranscriptionError as error:
                await self._send(error_document(error, public_message(error)))
                if isinstance(error, ServiceUnavailable | TooManyRequests):
                    await self._socket.close(TRY_AGAIN_LATER)
                    return None

    def _attach(self, conversation: Conversation) -> None:
        self._conversation, self._replaced = conversation, conversation.attach()

    async def _leave(self) -> None:
        """End once the client has come back over another connection; this one is a ghost."""
        await self._replaced.wait()

    async def _greet(self, conversation: Conversation, *, resumed: bool) -> None:
        await self._send(
            {
                "type": "session",
                "session": conversation.id,
                "token": conversation.token,
                "resume_seconds": RESUME_SECONDS,
                "resumed": resumed,
                "received": conversation.received,
            }
        )

    async def _send_events(self, conversation: Conversation, number: int) -> None:
        """Send what happens. Stays when all has been sent: the client may want the transcript."""
        while events := await conversation.after(number):
            for _, text in events:
                await self._socket.send_text(text)
            number = events[-1][0]
        if self._conversations.stopping:
            await self._socket.close(GOING_AWAY)
            raise WebSocketDisconnect(GOING_AWAY)
        await asyncio.Event().wait()

    async def _receive(self, conversation: Conversation) -> None:
        """Do what the client says. What arrives after `resume` is not taken: the client sends it anew."""
        while True:
            try:
                message = await self._message()
                if self._replaced.is_set():
                    return
                await self._do(message, conversation)
            except Silent as end:
                await self._end_silence(end, GOING_AWAY)
                raise WebSocketDisconnect(GOING_AWAY) from None
            except TranscriptionError as error:
                await self._send(error_document(error, public_message(error)))

    async def _do(self, message: object, conversation: Conversation) -> None:
        if isinstance(message, bytes):
            await conversation.audio(message)
        elif isinstance(message, WantTranscript):
            await self._send(await asyncio.to_thread(conversation.transcript, message.format))
        elif isinstance(message, Control):
            if message.type == "commit":
                await conversation.session.commit()
            elif message.type == "clear":
                await conversation.session.clear()
            elif message.type == "finish":
                await conversation.finish()
        else:
            raise InvalidParameter("The session has started already. Open another connection for another session.")

    async def _message(self) -> object:
        """The next frame: bytes, or a checked message. Raises Silent, InvalidParameter, and WebSocketDisconnect."""
        frame = await self._socket.receive()
        if len(frame) > MOST_FRAME_BYTES:
            raise InvalidParameter(
                f"A frame is larger than the limit, {MOST_FRAME_BYTES} bytes; it was ignored. Send smaller ones."
            )
        return frame if isinstance(frame, bytes) else parse(frame)

    async def _end_silence(self, end: Silent, code: int) -> None:
        """Tell the client why the connection is closed, and close it."""
        error = UploadTooSlow(f"{end} Send audio, or a message keepalive while there is none.")
        await self._send(error_document(error))
        await self._socket.close(code)

    async def _send(self, document: Document) -> None:
        await self._socket.send_text(encode(document))
