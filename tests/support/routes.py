"""Every HTTP route that the process serves, as its application lists them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.service import ROOT

# Every route as "METHOD path": BentoML's own, what is mounted into it, and our middleware's.
LIST_ROUTES = """
import json
from starlette.routing import WebSocketRoute
from transcription.api.routes import tasks
from service import TranscriptionService

def walk(routes):
    for route in routes:
        if router := getattr(route, "original_router", None):  # what FastAPI's include_router leaves
            yield from walk(router.routes)
        elif hasattr(route, "methods"):
            yield from (f"{method} {route.path}" for method in route.methods)
        elif isinstance(route, WebSocketRoute):  # it has no method
            continue
        elif not route.path and route.app.routes:  # our application, mounted at /
            yield from walk(route.app.routes)
        else:  # files
            yield f"GET {route.path}/"

application = TranscriptionService.to_asgi(is_main=True)
print(json.dumps(sorted({*walk(application.routes), *walk(tasks.ROUTES)})))
"""


def served_routes(folder: Path, environment: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """(method, path) of every route. folder: for its files. environment: the settings."""
    listed = subprocess.run(
        [sys.executable, "-c", LIST_ROUTES],
        cwd=ROOT,
        env={**os.environ, **(environment or {}), "JOBS_DIR": str(folder / "listed"), "BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(line.split(" ", 1)) for line in json.loads(listed.stdout.splitlines()[-1])]
