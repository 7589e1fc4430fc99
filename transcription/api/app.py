"""The FastAPI application that is mounted into the BentoML service."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError

from transcription.api import page
from transcription.api.client_schema import fit_for_clients
from transcription.api.deepgram import routes as deepgram_routes
from transcription.api.documentation import add_security, error_responses
from transcription.api.errors import answer_domain_error, answer_full_disk, answer_validation_error
from transcription.api.openai import azure, diarization
from transcription.api.openai import routes as openai_routes
from transcription.api.realtime import routes as realtime_routes
from transcription.api.route_facts import RouteTable, declared
from transcription.api.routes import (
    api_docs,
    bentoml_routes,
    catalogue,
    events,
    health,
    jobs,
    live,
    native_input,
    tasks,
    transcription,
    transcripts,
    webservice,
)
from transcription.api.routes.api_docs import OPENAPI_PATH
from transcription.core.errors import (
    CrossSiteRequest,
    HostNotAllowed,
    InvalidApiKey,
    InvalidParameter,
    MissingApiKey,
    RateLimitExceeded,
    TooManyHeaders,
    TranscriptionError,
)
from transcription.core.settings import Settings

DESCRIPTION = """Transcribes audio and video files into text with timestamps.

All errors of all routes have the same shape: `error`, `message`, `detail`, `timestamp`, `request_id`. The header
`X-Request-ID` is taken from the request or generated; it is in every response and every log line.
BentoML's clients use `POST /api/transcribe`, which the page at `/bentoml` documents."""
# Errors that any route may answer with.
COMMON_ERRORS = (
    *(TranscriptionError, InvalidParameter, MissingApiKey, InvalidApiKey),
    *(HostNotAllowed, CrossSiteRequest, RateLimitExceeded, TooManyHeaders),
)
MODULES = (
    transcription,
    jobs,
    transcripts,
    events,
    health,
    catalogue,
    openai_routes,
    diarization,
    azure,
    webservice,
    live,
    realtime_routes,
    deepgram_routes,
    page,
    api_docs,
)


def create_app(settings: Settings) -> FastAPI:
    """The application with all its routes. `app.state.backend` must be set before the first request."""
    app = FastAPI(
        title=settings.app_name,
        version=settings.app_version,
        description=DESCRIPTION,
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        responses=error_responses(*COMMON_ERRORS),
    )
    app.add_exception_handler(TranscriptionError, answer_domain_error)
    app.add_exception_handler(OSError, answer_full_disk)
    app.add_exception_handler(RequestValidationError, answer_validation_error)
    for module in MODULES:
        app.include_router(module.router)
    declare_security(app, settings)
    return app


def declare_security(app: FastAPI, settings: Settings) -> None:
    """Document how to send an API key. AuthenticationMiddleware checks it."""
    make_document = app.openapi
    open_paths = route_table().open_paths(protect_probes=settings.protect_probes)

    def openapi() -> dict[str, Any]:
        return add_security(fit_for_clients(make_document()), open_paths, required=settings.enable_api_key)

    app.openapi = openapi  # type: ignore[method-assign]


def route_table() -> RouteTable:
    """The facts about every route of the process, BentoML's native API and its probes included."""
    mounted = [route for module in MODULES for route in module.router.routes]
    others = (*api_docs.ROUTES, *native_input.ROUTES, *bentoml_routes.ROUTES)
    return RouteTable([*declared(mounted), *declared(tasks.ROUTES), *others])
