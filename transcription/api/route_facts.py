"""Facts about a route that the middlewares need before it is called. Each route declares them where it is defined.

@router.post("/transcribe")
@route_facts(upload=True)
async def transcribe(...): ...
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from starlette.routing import BaseRoute
from starlette.types import Scope

from transcription.api.content_security import DEFAULT_POLICY

WEBSOCKET = "WEBSOCKET"  # in place of a method
PARAMETER = re.compile(r"\{[^}]+\}")

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """Facts about a route.

    upload: requests bring work, so the limits of uploads apply and not those of reads.
    stream: responses last as long as the client wishes, so the limit of concurrent streams applies.
    probe: supervisors call it every few seconds. No limits apply, requests are logged at DEBUG, and no key is required
        unless PROTECT_PROBES is set.
    slow: a probe that holds the event loop for many milliseconds, so that one at a time is handled.
    public: no key is ever required.
    content_security_policy: the header of HTML responses.
    metric_label: the name of the route in metrics; its path if empty.
    """

    upload: bool = False
    stream: bool = False
    probe: bool = False
    slow: bool = False
    public: bool = False
    content_security_policy: str = DEFAULT_POLICY
    metric_label: str = ""


UNKNOWN_ROUTE = RouteFacts()


@dataclass(frozen=True, slots=True)
class Route:
    """One method of a path, or WEBSOCKET, such as /status/{job_id}, with its facts."""

    method: str
    path: str
    facts: RouteFacts = UNKNOWN_ROUTE


def route_facts(**facts: Any) -> Callable[[Endpoint], Endpoint]:
    """A decorator that declares facts about the route of an endpoint; the arguments are the fields of RouteFacts."""

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.route_facts = RouteFacts(**facts)  # type: ignore[attr-defined]
        return endpoint

    return declare


def declared(routes: Iterable[BaseRoute]) -> list[Route]:
    """The routes of a FastAPI router or a Starlette application, with the facts that their endpoints declare."""
    return [
        Route(method, route.path, getattr(route.endpoint, "route_facts", UNKNOWN_ROUTE))  # type: ignore[attr-defined]
        for route in routes
        for method in sorted(getattr(route, "methods", (WEBSOCKET,)))
    ]


class RouteTable:
    """Finds the facts about the route of a request.

    Raises ValueError if a route that requires no key has a parameter in its path: open paths are compared as a whole,
    so that a path that merely resembles one is not open.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._paths: dict[str, dict[str, RouteFacts]] = {}
        for route in routes:
            if "{" in route.path and (route.facts.probe or route.facts.public):
                raise ValueError(f"The route {route.path} has a parameter and cannot be open without a key.")
            self._paths.setdefault(route.path, {})[route.method] = route.facts
        self._patterns = [(_pattern(path), path) for path in self._paths if "{" in path]

    def facts(self, scope: Scope) -> RouteFacts:
        """The facts about the route of a request; the defaults if there is no such route."""
        methods = self._paths.get(self._template(scope["path"]))
        if methods is None:
            return UNKNOWN_ROUTE
        # A method that the route does not support brings no work: the request is refused.
        return methods.get(scope.get("method", WEBSOCKET)) or replace(next(iter(methods.values())), upload=False)

    def methods(self, scope: Scope) -> frozenset[str]:
        """The methods of the route of a request; empty if there is no such route."""
        return frozenset(self._paths.get(self._template(scope["path"]), ())) - {WEBSOCKET}

    def open_paths(self, *, protect_probes: bool) -> frozenset[str]:
        """The paths that require no key."""
        return self.public_paths if protect_probes else self.public_paths | self.probe_paths

    @property
    def public_paths(self) -> frozenset[str]:
        """The paths that never require a key."""
        return self._where(lambda facts: facts.public)

    @property
    def probe_paths(self) -> frozenset[str]:
        """The paths that supervisors call."""
        return self._where(lambda facts: facts.probe)

    @property
    def metric_labels(self) -> tuple[str, ...]:
        """The name of each route in metrics."""
        labels = (facts.metric_label or path for path, methods in self._paths.items() for facts in methods.values())
        return tuple(dict.fromkeys(labels))

    def _where(self, holds: Callable[[RouteFacts], bool]) -> frozenset[str]:
        return frozenset(path for path, methods in self._paths.items() if any(map(holds, methods.values())))

    def _template(self, path: str) -> str:
        # Starlette's patterns end with $, which also matches before a line break at the end.
        path = path.removesuffix("\n")
        if path in self._paths:
            return path
        return next((template for pattern, template in self._patterns if pattern.fullmatch(path)), "")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, PARAMETER.split(path))))
