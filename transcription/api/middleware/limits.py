"""How much each caller may ask: requests a minute, uploads at once, bytes on their way."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.api.errors import error_response
from transcription.api.middleware.caller import CALLER, COUNT_BYTES, Caller
from transcription.api.middleware.client_address import client_of, parse_networks
from transcription.api.middleware.edge import PROBE_PATHS
from transcription.api.middleware.tasks import ROUTE as TASK_ROUTE
from transcription.api.routes.native import ROUTE as NATIVE_ROUTE
from transcription.core.errors import RateLimitExceeded, TooManyUploads
from transcription.core.settings import Settings
from transcription.media.intake.transfer import declared_size

UPLOAD_PATHS = frozenset(
    {
        *("/transcribe", "/asr", "/detect-language", "/v1/audio/transcriptions", "/v1/audio/translations"),
        *(NATIVE_ROUTE, TASK_ROUTE, f"{TASK_ROUTE}/submit"),
    }
)
RETRY = "/retry"  # ends the paths that do work again
REDIS_SECONDS = 0.2  # that a request waits for Redis at most
PAUSE_SECONDS = 2.0  # in which a Redis that did not answer is not asked again
WARNING_SECONDS = 60.0  # between two warnings that Redis does not answer
BUSY_SECONDS = 5.0  # after which one of a caller's own uploads may be done

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands. reset: seconds until the window is over."""

    allowed: bool
    limit: int
    remaining: int
    reset: int


class RateLimits:
    """Counts requests in a sliding window of a minute: two numbers a caller, whatever it sends."""

    def __init__(self, redis_url: str) -> None:
        storage = (
            RedisStorage(
                f"async+{redis_url}",
                implementation="redispy",
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
            )
            if redis_url
            else MemoryStorage()
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._warned_at = -math.inf
        self._asked_again_at = -math.inf

    async def count(self, kind: str, caller: str, per_minute: int) -> Standing | None:
        """One more request; None when Redis does not answer, and then nobody is held up."""
        if time.monotonic() < self._asked_again_at:
            return None
        item = RateLimitItemPerMinute(per_minute)
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                allowed = await self._limiter.hit(item, kind, caller)
                stats = await self._limiter.get_window_stats(item, kind, caller)
        except (RedisError, OSError, TimeoutError) as error:
            self._asked_again_at = time.monotonic() + PAUSE_SECONDS
            self._warn(error)
            return None
        reset = max(1, math.ceil(stats.reset_time - time.time()))
        return Standing(allowed, per_minute, max(0, stats.remaining), reset)

    def _warn(self, error: Exception) -> None:
        if time.monotonic() - self._warned_at >= WARNING_SECONDS:
            self._warned_at = time.monotonic()
            log.warning(
                "rate_limits_suspended", error=f"{type(error).__name__}: {error}", remedy="look after REDIS_URL"
            )


class InFlight:
    """Uploads of each caller that are being received or worked on. uploads, size: limits; size in bytes."""

    def __init__(self, uploads: int, size: int) -> None:
        self._most_uploads = uploads
        self._most_bytes = size
        self._uploads: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    @contextmanager
    def upload(self, caller: str, declared: int) -> Iterator[Held]:
        """Count an upload while the block lasts. Raises TooManyUploads."""
        if self._uploads[caller] >= self._most_uploads:
            raise TooManyUploads(
                f"You have {self._uploads[caller]} uploads at once, as many as are allowed. Wait for one to end.",
                retry_after=BUSY_SECONDS,
            )
        self._uploads[caller] += 1
        held = Held(self, caller)
        try:
            held.grow_to(declared)
            yield held
        finally:
            self._uploads[caller] -= 1
            self.take(caller, -held.size)
            if not self._uploads[caller]:
                del self._uploads[caller], self._bytes[caller]

    def take(self, caller: str, size: int) -> None:
        """Count so many bytes more, or fewer. Raises TooManyUploads."""
        if size > 0 and self._bytes[caller] + size > self._most_bytes:
            raise TooManyUploads(
                f"Your uploads have more than {self._most_bytes} bytes together. Send them one after the other.",
                retry_after=BUSY_SECONDS,
            )
        self._bytes[caller] += size

    @property
    def callers(self) -> int:
        """Who is remembered."""
        return len(self._uploads)


class Held:
    """One upload that is counted. size: bytes, declared or received so far, whichever is more."""

    def __init__(self, counts: InFlight, caller: str) -> None:
        self._counts = counts
        self._caller = caller
        self.size = 0

    def grow_to(self, size: int) -> None:
        """Raises TooManyUploads."""
        if size > self.size:
            self._counts.take(self._caller, size - self.size)
            self.size = size


class LimitsMiddleware:
    """Refuses callers who ask too much, before their body is read.

    Inside AccessMiddleware, which says whose key it is.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._trusted = parse_networks(settings.trusted_proxies)
        self._rates = RateLimits(settings.limits_redis_url)
        self._in_flight = InFlight(settings.max_client_uploads, settings.max_client_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in PROBE_PATHS:
            await self._app(scope, receive, send)
            return
        key: Caller | None = scope.get(CALLER)
        name = f"key:{key.name}" if key else client_of(scope, self._trusted)
        uploads = is_upload(scope)
        standing = await self._rates.count("uploads" if uploads else "reads", name, self._per_minute(key, uploads))
        if standing:
            send = _with_headers(send, standing)
            if not standing.allowed:
                error = RateLimitExceeded(
                    f"More than {standing.limit} {'uploads' if uploads else 'requests'} a minute. Try again in "
                    f"{standing.reset} s.",
                    retry_after=standing.reset,
                )
                await error_response(error)(scope, receive, send)
                return
        if uploads:
            await self._serve_upload(name, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve_upload(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as stack:
            try:
                held = stack.enter_context(self._in_flight.upload(name, declared_size(Headers(scope=scope)) or 0))
            except TooManyUploads as error:
                await error_response(error)(scope, receive, send)
                return
            scope[COUNT_BYTES] = held.grow_to
            await self._app(scope, _counted(receive, held), send)

    def _per_minute(self, key: Caller | None, uploads: bool) -> int:
        if uploads:
            return (key and key.uploads_per_minute) or self._settings.rate_limit_per_minute
        return (key and key.reads_per_minute) or self._settings.rate_limit_reads_per_minute


def is_upload(scope: Scope) -> bool:
    """Whether a request brings work, not only a question."""
    path: str = scope["path"]
    if scope["method"] == "GET":
        return path == "/transcribe"  # fetches a recording from a URL
    return scope["method"] == "POST" and (path in UPLOAD_PATHS or path.endswith(RETRY))


def _counted(receive: Receive, held: Held) -> Receive:
    received = 0

    async def count() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        held.grow_to(received)
        return message

    return count


def _with_headers(send: Send, standing: Standing) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["RateLimit-Limit"] = str(standing.limit)
            headers["RateLimit-Remaining"] = str(standing.remaining)
            headers["RateLimit-Reset"] = str(standing.reset)
        await send(message)

    return send_with_headers
