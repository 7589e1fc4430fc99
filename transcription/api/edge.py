"""What the API process mounts into the BentoML service: the FastAPI application and the middlewares around every route.

Imported by the process that serves it, and not by its supervisor or the runner (see bentoml_patches/deferred.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI

from transcription.api.app import create_app, route_table
from transcription.api.middleware.stack import middleware_stack
from transcription.core.settings import Settings


class Edge:
    """app: `app.state.backend` must be set before the first request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._routes = route_table()
        self.app: FastAPI = create_app(settings)

    @property
    def metric_labels(self) -> Iterable[str]:
        """The routes under which requests are counted."""
        return self._routes.metric_labels

    def middlewares(self) -> list[tuple[Any, dict[str, Any]]]:
        """As BentoML keeps them: the class and its options."""
        stack = middleware_stack(self._settings, self._routes, self.app.state)
        return [(middleware.cls, middleware.kwargs) for middleware in stack]
