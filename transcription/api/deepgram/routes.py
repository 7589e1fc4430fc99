"""WS /v1/listen."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from transcription.api.caller import live_client
from transcription.api.client_socket import MOST_FRAME_BYTES, NORMAL, ClientSocket, Silent, until_one_ends
from transcription.api.deepgram.errors import LISTEN
from transcription.api.deepgram.parameters import ListenOptions, parse_query
from transcription.api.deepgram.results import Results, error_message, parse_control
from transcription.api.dependencies import Backend
from transcription.api.errors import error_response
from transcription.api.route_facts import route_facts
from transcription.core.errors import InvalidParameter, TranscriptionError
from transcription.live.pcm import PcmStream
from transcription.live.session import LiveSession
from transcription.telemetry.logs import current_request_id

SUBPROTOCOL = "token"  # with which browsers send a key

router = APIRouter()


@router.websocket(LISTEN)
@route_facts(upload=True)
async def listen(websocket: WebSocket) -> None:
    """A session, compatible with Deepgram's API. What is wrong with its start is answered over HTTP."""
    backend = cast(Backend, websocket.app.state.backend)
    request_id = current_request_id()
    try:
        query = websocket.query_params.multi_items()
        options = await asyncio.to_thread(parse_query, query, backend.settings)  # looks for models on the disk
        live = await backend.live.open(options.live, live_client(websocket.scope), request_id)
    except TranscriptionError as error:
        await websocket.send_denial_response(error_response(error))
        return
    try:
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
        socket = ClientSocket(websocket, backend.settings.download_timeout)
        await ListenConnection(socket, live, options, request_id).serve()
    finally:
        await live.aclose()


class ListenConnection:
    """Serves one session. What follows from what is decided in `results.py`."""

    def __init__(self, socket: ClientSocket, live: LiveSession, options: ListenOptions, request_id: str) -> None:
        self._socket = socket
        self._live = live
        self._audio = PcmStream(options.pcm)
        self._results = Results(options, request_id)

    async def serve(self) -> None:
        """Serve until the client leaves, is silent for too long, or the session ends. The caller closes `live`."""
        with suppress(WebSocketDisconnect):
            await until_one_ends(self._receive_all(), self._send_all())

    async def _receive_all(self) -> None:
        try:
            while True:
                await self._answer(await self._socket.receive())
        except Silent as end:
            await self._socket.close(NORMAL, f"{end} Send audio or KeepAlive.")

    async def _answer(self, frame: str | bytes) -> None:
        try:
            if isinstance(frame, bytes):
                await self._take(frame)
                return
            control = parse_control(frame)
            if control.type == "Finalize":
                await self._live.commit()
                await self._socket.send(self._results.finalize(self._live.latest))
            elif control.type == "CloseStream":
                await self._live.finish()
        except TranscriptionError as error:
            await self._socket.send([error_message(error)])

    async def _take(self, frame: bytes) -> None:
        if not frame:  # how older SDKs close
            await self._live.finish()
        elif len(frame) > MOST_FRAME_BYTES:
            raise InvalidParameter(f"The frame is larger than {MOST_FRAME_BYTES} bytes, the limit. Send smaller ones.")
        else:
            await self._live.feed(self._audio.convert(frame))
            if messages := self._results.listen(self._live.seconds, self._live.latest):
                await self._socket.send(messages)

    async def _send_all(self) -> None:
        try:
            async for event in self._live.events():
                await self._socket.send(self._results.hear(event))
        except TranscriptionError as limit:
            await self._socket.send([error_message(limit)])
        await self._socket.send([self._results.closing(self._live.seconds)])
        await self._socket.close(NORMAL)
