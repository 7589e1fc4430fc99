"""WS /live: text while people speak. docs/LIVE.md describes the messages."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter
from starlette.websockets import WebSocket

from transcription.api.caller import live_client
from transcription.api.dependencies import Backend
from transcription.api.live.connection import SUBPROTOCOL, Connection
from transcription.api.route_facts import route_facts
from transcription.telemetry.logs import current_request_id

router = APIRouter()


@router.websocket("/live")
@route_facts(upload=True)
async def live(websocket: WebSocket) -> None:
    """Serve one connection."""
    backend = cast(Backend, websocket.app.state.backend)
    await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
    client = live_client(websocket.scope)
    timeout = backend.settings.download_timeout
    await Connection(websocket, backend.conversations, client, current_request_id(), timeout).serve()
