"""The authenticated sender of a request."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Scope

from transcription.core.options import Ticket
from transcription.core.settings import Settings
from transcription.jobs.access import EVERY_JOB, Access
from transcription.live.allowance import LiveClient
from transcription.telemetry.logs import current_request_id

CALLER = "transcription.caller"  # key in the ASGI scope; absent if no API key is required
# Also a key in the ASGI scope: a function that takes the size of the upload so far, in bytes; absent without limits.
COUNT_BYTES = "transcription.count_bytes"


CLIENT = "transcription.client"  # also: whose limits the request counts against; absent without limits


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a valid API key.

    name: the name of the key, safe to log; the jobs that it submits belong to this name. uploads_per_minute,
    reads_per_minute, live_minutes_per_hour: its limits; None for the default. admin: sees and changes the jobs of all
    keys.
    """

    name: str
    uploads_per_minute: int | None = None
    reads_per_minute: int | None = None
    admin: bool = False
    live_minutes_per_hour: int | None = None


def live_client(scope: Scope) -> LiveClient:
    """Whose limits a live session counts against."""
    caller: Caller | None = scope.get(CALLER)
    return LiveClient(scope.get(CLIENT, ""), caller.live_minutes_per_hour if caller else None)


def access_of(request: Request, settings: Settings) -> Access:
    """What the sender of a request may do with jobs."""
    if not settings.enable_api_key:
        return EVERY_JOB
    caller: Caller | None = request.scope.get(CALLER)
    return Access(caller.name, everything=caller.admin, admin=caller.admin) if caller else Access()


def ticket_of(request: Request, settings: Settings) -> Ticket:
    """The ticket of a synchronous request's windows."""
    return Ticket(current_request_id(), caller=access_of(request, settings).caller)
