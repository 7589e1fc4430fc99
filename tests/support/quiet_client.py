"""The other end of a WebSocket: a client that sends little, may not read, and may be gone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

Message = dict[str, Any]


class QuietClient:
    """frames: what it sends; then it is silent, or gone with a code. reads: whether it takes what it is sent."""

    def __init__(self, *frames: Message, gone: int | None = None, reads: bool = True) -> None:
        self._frames = [{"type": "websocket.connect"}, *({"type": "websocket.receive", **frame} for frame in frames)]
        if gone is not None:
            self._frames.append({"type": "websocket.disconnect", "code": gone})
        self._reads = reads
        self._sent: list[Message] = []

    async def receive(self) -> Message:
        """For Starlette: the next message."""
        if not self._frames:
            await asyncio.Event().wait()
        return self._frames.pop(0)

    async def send(self, message: Any) -> None:
        """For Starlette: take a message."""
        if not self._reads and message["type"] in ("websocket.send", "websocket.close"):
            await asyncio.Event().wait()
        self._sent.append(message)

    def events(self) -> list[Message]:
        """The events that it was sent."""
        return [json.loads(message["text"]) for message in self._sent if message["type"] == "websocket.send"]

    def close_code(self) -> int | None:
        """The code with which it was disconnected."""
        return next((message["code"] for message in self._sent if message["type"] == "websocket.close"), None)
