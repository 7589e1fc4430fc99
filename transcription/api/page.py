"""GET /ui: the web page. Its files are read once."""

from __future__ import annotations

import hashlib
import html
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from formats.registry import Kind, ResponseFormat
from transcription.api.content_security import as_header
from transcription.api.route_facts import route_facts

ROOT = "/ui"
FOLDER = Path(__file__).resolve().parent.parent / "web"
INDEX = "index.html"
FORMATS = b"<!-- formats -->"  # placeholder in the index for the <option> elements
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
NAMES = tuple(sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in TYPES))
PATHS = (ROOT, *(f"{ROOT}/{name}" for name in NAMES if name != INDEX))
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    # The hash is that of the only inline style: wavesurfer.js puts it into its shadow root.
    "style-src": "'self' 'sha256-GDz2FZP0i7VZaDhs1mgc43IRUXU2xajPIjvThHvZvbs='",
    "img-src": "'self'",
    "connect-src": "'self'",
    "media-src": "blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page. tag: its ETag, derived from the content."""

    content: bytes
    media_type: str
    tag: str


@cache
def read_asset(name: str) -> Asset:
    """A file of the page; the index with its formats filled in."""
    content = (FOLDER / name).read_bytes()
    if name == INDEX:
        content = content.replace(FORMATS, format_options().encode())
    return Asset(content, TYPES[Path(name).suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def format_options() -> str:
    """An <option> per format, with the facts that the script needs."""
    return "".join(
        f'<option value="{each}" data-ending="{each.record.ending}"'
        f"{'' if each.record.kind is Kind.DOCUMENT else ' data-takes-layout'}"
        f"{' selected' if each is ResponseFormat.SRT else ''}>{html.escape(each.record.title)}</option>"
        for each in ResponseFormat
    )


router = APIRouter(include_in_schema=False)


# Public: the files contain no secrets, and the routes that the page calls check the key.
@route_facts(public=True, content_security_policy=as_header(POLICY))
async def index(request: Request) -> Response:
    """The page itself."""
    return answer(INDEX, request)


@route_facts(public=True, metric_label=f"{ROOT}/{{name}}")
async def asset(request: Request) -> Response:
    """Another file of the page."""
    return answer(request.url.path.rpartition(f"{ROOT}/")[2], request)


def answer(name: str, request: Request) -> Response:
    """The file, or 304 if the browser already has this version."""
    file = read_asset(name)
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


for path in PATHS:
    # One route per file: only a path without parameters can be open without a key.
    router.add_api_route(path, index if path == ROOT else asset, methods=["GET"])
