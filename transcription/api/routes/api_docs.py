"""GET /docs: the OpenAPI document as a page."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from transcription.api.content_security import with_directives
from transcription.api.public_path import public_path
from transcription.api.route_facts import Route, route_facts

OPENAPI_PATH = "/openapi.json"
# BentoML serves Swagger UI's files for its own page; ours uses them, too, and needs no CDN.
SWAGGER_FILES = "/static_content"

ROUTES = (Route("GET", OPENAPI_PATH),)  # FastAPI serves it

router = APIRouter(include_in_schema=False)


@router.get("/docs")
# FastAPI's page has an inline script.
@route_facts(content_security_policy=with_directives({"script-src": "'self' 'unsafe-inline'"}))
async def docs(request: Request) -> HTMLResponse:
    """Swagger UI."""
    files = public_path(request, SWAGGER_FILES)
    return get_swagger_ui_html(
        openapi_url=public_path(request, OPENAPI_PATH),
        title="API",
        swagger_js_url=f"{files}/swagger-ui-bundle.js",
        swagger_css_url=f"{files}/swagger-ui.css",
        swagger_favicon_url=f"{files}/favicon-light-32x32.png",
    )


@router.get("/redoc")
async def redoc(request: Request) -> RedirectResponse:
    """Leads to Swagger UI: ReDoc's script would have to come from another host."""
    return RedirectResponse(public_path(request, "/docs"))
