"""WS /v1/realtime, and POST /v1/realtime/client_secrets."""

from __future__ import annotations

import asyncio
from typing import cast

from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.websockets import WebSocket

from transcription.api.caller import CALLER, Caller, live_client
from transcription.api.client_secrets import GRANT, Grant
from transcription.api.client_socket import ClientSocket
from transcription.api.dependencies import Backend, BackendDependency
from transcription.api.errors import error_response
from transcription.api.openai.documentation import ERRORS
from transcription.api.openai.errors import PREFIX, VENDOR_PREFIX
from transcription.api.realtime.connection import IDLE_SECONDS, RealtimeConnection, new_id
from transcription.api.realtime.secrets_body import BODY, ClientSecret, read_request
from transcription.api.realtime.session_config import SessionConfig
from transcription.api.realtime.session_document import session_document
from transcription.api.route_facts import route_facts
from transcription.core.errors import InvalidParameter, TranscriptionError
from transcription.core.settings import Settings
from transcription.telemetry.logs import current_request_id

INTENT = "transcription"
SUBPROTOCOL = "realtime"
BETA_HEADER, BETA_VALUE = "openai-beta", "realtime=v1"
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"

router = APIRouter(tags=["openai"], responses=ERRORS)


@router.websocket(f"{PREFIX}/realtime")
@router.websocket(f"{VENDOR_PREFIX}{PREFIX}/realtime")  # Azure's
@route_facts(upload=True)
async def realtime(websocket: WebSocket) -> None:
    """A transcription session, compatible with OpenAI's API. What is wrong with its start is answered over HTTP."""
    backend = cast(Backend, websocket.app.state.backend)
    settings = backend.settings
    try:
        config = config_of(websocket, settings)
        options = await asyncio.to_thread(config.to_options, settings)
        live = await backend.live.open(options, live_client(websocket.scope), current_request_id())
    except TranscriptionError as error:
        await websocket.send_denial_response(error_response(error))
        return
    offered = websocket.scope["subprotocols"]
    is_beta = BETA_SUBPROTOCOL in offered or BETA_VALUE in Headers(scope=websocket.scope).get(BETA_HEADER, "")
    try:
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        socket = ClientSocket(websocket, settings.download_timeout, IDLE_SECONDS)
        await RealtimeConnection(socket, live, config, settings, is_beta=is_beta).serve()
    finally:
        await live.aclose()


@router.post(f"{VENDOR_PREFIX}{PREFIX}/realtime/client_secrets", include_in_schema=False)
@router.post(
    f"{PREFIX}/realtime/client_secrets",
    summary="Make a client secret (OpenAI API)",
    operation_id="create_realtime_client_secret",
    openapi_extra={"requestBody": BODY},
)
async def client_secrets(request: Request, backend: BackendDependency) -> ClientSecret:
    """Make a key for a browser, which is valid for a short time, for WS /v1/realtime with this session."""
    asked = await read_request(request)
    config = SessionConfig.of_model(backend.settings.whisper_model).updated(asked.session)
    await asyncio.to_thread(config.to_options, backend.settings)  # raises what is wrong with it
    caller: Caller | None = request.scope.get(CALLER)
    grant = Grant(caller.name if caller else None, config.to_json())
    value, expires = backend.secrets.make(grant, asked.expires_after.seconds)
    return ClientSecret(value=value, expires_at=expires, session=session_document(config, new_id("sess")))


def config_of(websocket: WebSocket, settings: Settings) -> SessionConfig:
    """The configuration with which a session starts. Raises InvalidParameter."""
    intent = websocket.query_params.get("intent", INTENT)
    if intent != INTENT:
        raise InvalidParameter(
            f"This service has transcription sessions only. Connect with intent={INTENT}, not '{intent[:80]}'.",
            parameter="intent",
        )
    grant: Grant | None = websocket.scope.get(GRANT)
    config = SessionConfig.from_json(grant.session) if grant else SessionConfig.of_model(settings.whisper_model)
    model = websocket.query_params.get("model")
    return config.with_model(model) if model else config
