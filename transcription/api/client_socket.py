"""An accepted WebSocket of a live session: limits on how long its client may be silent or not read, ordered sending."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

IDLE_SECONDS = 60.0
MOST_FRAME_BYTES = 1_048_576
NORMAL, GOING_AWAY, INTERNAL_ERROR = 1000, 1001, 1011  # close codes, RFC 6455


class Silent(Exception):
    """Nothing arrived for IDLE_SECONDS."""


class ClientSocket:
    """write_timeout: seconds in which the client must take something of what is sent. idle: IDLE_SECONDS."""

    def __init__(self, websocket: WebSocket, write_timeout: float, idle: float = IDLE_SECONDS) -> None:
        self._websocket = websocket
        self._write_timeout = write_timeout
        self._idle = idle
        self._sending = asyncio.Lock()  # first come, first served: documents are sent in the order of the calls

    async def receive(self) -> str | bytes:
        """The next frame. Raises Silent, WebSocketDisconnect."""
        try:
            async with asyncio.timeout(self._idle):
                frame = await self._websocket.receive()
        except TimeoutError:
            raise Silent(f"Nothing arrived for {self._idle:g} s.") from None
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(frame.get("code", GOING_AWAY))
        data: bytes | None = frame.get("bytes")
        text: str | None = frame.get("text")
        return data if data is not None else text or ""

    async def send(self, documents: Sequence[dict[str, Any]]) -> None:
        """Send documents as JSON, one frame each. Raises WebSocketDisconnect, also if the client does not read."""
        async with self._sending:
            for document in documents:
                await self._write(json.dumps(document, ensure_ascii=False))

    async def send_text(self, text: str) -> None:
        """Send one frame. Raises as `send`."""
        async with self._sending:
            await self._write(text)

    async def close(self, code: int, reason: str = "") -> None:
        """Close the connection, unless it is closed. reason: at most 123 bytes.

        A client that does not read may not learn the reason.
        """
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._write_timeout):
                    await self._websocket.close(code, reason)

    async def _write(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._write_timeout):
                await self._websocket.send_text(text)
        except (TimeoutError, RuntimeError):  # the latter is Starlette's, after a close
            raise WebSocketDisconnect(GOING_AWAY) from None


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run them together until one ends, and cancel the others. Raises what ended it, such as WebSocketDisconnect."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
