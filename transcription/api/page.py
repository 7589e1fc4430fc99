"""/ui: the page for people. Its files are few, known by name, and read once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

ROOT = "/ui"
FOLDER = Path(__file__).resolve().parent.parent / "web"
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
NAMES = tuple(sorted(path.name for path in FOLDER.iterdir() if path.suffix in TYPES))
# Nothing in them is secret; what they ask for is.
PATHS = frozenset({ROOT, *(f"{ROOT}/{name}" for name in NAMES if name != INDEX)})


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page. tag: changes with its content."""

    content: bytes
    media_type: str
    tag: str


def _load(name: str) -> Asset:
    content = (FOLDER / name).read_bytes()
    return Asset(content, TYPES[Path(name).suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


ASSETS = {name: _load(name) for name in NAMES}

router = APIRouter(include_in_schema=False)


async def send(request: Request) -> Response:
    """A file of the page, or that the browser's copy is the same."""
    name = request.url.path.removeprefix(ROOT).lstrip("/") or INDEX
    asset = ASSETS[name]
    headers = {"ETag": asset.tag, "Cache-Control": "no-cache"}
    if asset.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


for path in sorted(PATHS):
    router.add_api_route(path, send, methods=["GET"])
