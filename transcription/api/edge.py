"""The HTTP side that is mounted into the BentoML service: the FastAPI application and the middlewares of every route.

Imported by the process that serves it, and not by its supervisor or the runner (see bentoml_patches/deferred.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bentoml
from fastapi import FastAPI
from starlette.types import Scope

from transcription.api.app import create_app, route_table
from transcription.api.client_secrets import ClientSecrets
from transcription.api.lifecycle import connect, start_process
from transcription.api.middleware.root_path import PathPrefix
from transcription.api.middleware_stack import middleware_stack
from transcription.api.routes.health import is_ready
from transcription.api.routes.native import answer_native
from transcription.api.schemas.transcript import TranscriptionResponse
from transcription.core.settings import Settings


class Edge:
    """The HTTP side of one process. app: answers requests once `start` was called.

    connections: that the process may have at the same time.
    """

    def __init__(self, settings: Settings, connections: int) -> None:
        self._connections = connections
        self._settings = settings
        self._routes = route_table()
        self._prefix = PathPrefix(settings)
        self._secrets = ClientSecrets(settings.client_secret_key)
        self.app: FastAPI = create_app(settings)

    @property
    def metric_labels(self) -> Iterable[str]:
        """The routes under which requests are counted."""
        return self._routes.metric_labels

    @property
    def connection_limits(self) -> tuple[float, int]:
        """Seconds in which a client must take something of its response, and the number of connections."""
        return self._settings.download_timeout, self._connections

    def route_path(self, scope: Scope) -> str:
        """The path of a request's route: without the prefix that a proxy adds."""
        return self._prefix.route_path(scope)

    def middlewares(self) -> list[tuple[Any, dict[str, Any]]]:
        """The middlewares in the form that BentoML takes: the class and its options."""
        stack = middleware_stack(self._settings, self._routes, self.app.state, self._secrets)
        return [(middleware.cls, middleware.kwargs) for middleware in stack]

    async def start(self, runner: Any) -> None:
        """Connect to the runner and start the background tasks.

        runner: the BentoML dependency that calls the runner's process; None with RUNNER_URL.
        """
        client = await connect(self._settings, runner)
        self._process = start_process(self._settings, client, self._connections, self._secrets)
        self.app.state.backend = self._process.backend

    async def stop(self) -> None:
        """Stop the background tasks; running jobs return to the queue."""
        await self._process.stop()

    async def answer_native(self, ctx: bentoml.Context) -> TranscriptionResponse:
        """Answer a call of the native BentoML API."""
        return await answer_native(ctx, self._process.backend)

    async def is_ready(self) -> bool:
        """Whether /health/ready answers 200."""
        return await is_ready(self._process.backend)
