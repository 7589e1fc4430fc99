"""The FastAPI application that is mounted into the BentoML service."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse

from transcription.api import page
from transcription.api.documentation import DESCRIPTION, add_security, error_responses
from transcription.api.errors import INTERNAL_ERROR, KINDS, answer_domain_error, answer_validation_error
from transcription.api.middleware.edge import PROBE_PATHS
from transcription.api.openai import routes as openai_routes
from transcription.api.routes import catalogue, events, health, jobs, transcription
from transcription.api.routes import webservice as asr
from transcription.core.errors import (
    InvalidApiKey,
    InvalidParameter,
    MissingApiKey,
    RateLimitExceeded,
    TooManyHeaders,
    TranscriptionError,
)
from transcription.core.settings import Settings

# What may be answered to any request, by a route or by the middleware around all.
ANYWHERE = [
    INTERNAL_ERROR,
    *(KINDS[error] for error in (InvalidParameter, MissingApiKey, InvalidApiKey, RateLimitExceeded, TooManyHeaders)),
]
OPENAPI_PATH = "/openapi.json"
# BentoML serves Swagger UI's files for its own page, so that ours needs no content network either.
SWAGGER_FILES = "/static_content"


def create_app(settings: Settings) -> FastAPI:
    """The routes of section 3. `app.state.backend` must be set before the first request."""
    app = FastAPI(
        title=settings.app_name,
        version=settings.app_version,
        description=DESCRIPTION,
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        responses=error_responses(ANYWHERE),
    )
    app.add_exception_handler(TranscriptionError, answer_domain_error)
    app.add_exception_handler(RequestValidationError, answer_validation_error)
    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_api_route("/redoc", redoc, include_in_schema=False)
    for module in (transcription, jobs, events, health, catalogue, openai_routes, asr, page):
        app.include_router(module.router)
    declare_security(app, settings)
    return app


def declare_security(app: FastAPI, settings: Settings) -> None:
    """Put the ways to show a key into the API document. The check itself is AccessMiddleware's."""
    make_document = app.openapi
    open_paths = () if settings.protect_probes else PROBE_PATHS

    def openapi() -> dict[str, Any]:
        return add_security(make_document(), open_paths, needed=settings.enable_api_key)

    app.openapi = openapi  # type: ignore[method-assign]


async def docs() -> HTMLResponse:
    """Swagger UI."""
    return get_swagger_ui_html(
        openapi_url=OPENAPI_PATH,
        title="API",
        swagger_js_url=f"{SWAGGER_FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{SWAGGER_FILES}/swagger-ui.css",
        swagger_favicon_url=f"{SWAGGER_FILES}/favicon-light-32x32.png",
    )


async def redoc() -> HTMLResponse:
    """ReDoc. Its script comes from a content network."""
    return get_redoc_html(
        openapi_url=OPENAPI_PATH,
        title="API",
        redoc_favicon_url=f"{SWAGGER_FILES}/favicon-light-32x32.png",
        with_google_fonts=False,
    )
