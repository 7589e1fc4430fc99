"""The middlewares around every route of the API process, BentoML's own included."""

from __future__ import annotations

from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from transcription.api.client_secrets import ClientSecrets
from transcription.api.middleware.authentication import AuthenticationMiddleware
from transcription.api.middleware.client_limits import ClientLimitsMiddleware
from transcription.api.middleware.client_secret import ClientSecretMiddleware
from transcription.api.middleware.error_shape import ErrorShapeMiddleware
from transcription.api.middleware.gate import GateMiddleware
from transcription.api.middleware.methods import MethodsMiddleware
from transcription.api.middleware.pace import PaceMiddleware
from transcription.api.middleware.request_id import RequestIdMiddleware
from transcription.api.middleware.request_origin import RequestOriginMiddleware
from transcription.api.middleware.root_path import RemovePrefixMiddleware, RootPathMiddleware
from transcription.api.middleware.security_headers import SecurityHeadersMiddleware, cors_options
from transcription.api.route_facts import RouteTable
from transcription.api.routes.tasks import TaskMiddleware
from transcription.core.settings import Settings


def middleware_stack(settings: Settings, routes: RouteTable, state: State, secrets: ClientSecrets) -> list[Middleware]:
    """The middlewares that the settings enable, from the outermost to the innermost.

    state: the state of the FastAPI application, which task routes share. secrets: checks client secrets.
    """
    stack = [
        Middleware(RemovePrefixMiddleware, settings=settings),
        Middleware(SecurityHeadersMiddleware, routes=routes),
        Middleware(RequestIdMiddleware, routes=routes),
        Middleware(ErrorShapeMiddleware),
        Middleware(GateMiddleware, routes=routes),
        Middleware(RequestOriginMiddleware, settings=settings, routes=routes),
    ]
    if settings.origins:
        stack.append(Middleware(CORSMiddleware, **cors_options(settings)))
    stack.append(Middleware(ClientSecretMiddleware, secrets=secrets))
    stack.append(Middleware(AuthenticationMiddleware, settings=settings, routes=routes))
    if settings.enable_rate_limit:
        stack.append(Middleware(ClientLimitsMiddleware, settings=settings, routes=routes))
    stack.append(Middleware(PaceMiddleware, settings=settings))
    stack.append(Middleware(MethodsMiddleware, routes=routes))
    if settings.task_queue == "own":
        stack.append(Middleware(TaskMiddleware, state=state))
    stack.append(Middleware(RootPathMiddleware))
    return stack
