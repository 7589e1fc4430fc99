"""The client of the runner: implements `runners.client.interface.Runner` over a BentoML dependency."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import aiohttp
from _bentoml_impl.client import RemoteProxy  # type: ignore[import-untyped]
from bentoml.exceptions import BentoMLException

from runners.client.interface import RESTART_SECONDS, RunnerState
from runners.client.wire import Reply
from transcription.core.audio import Window
from transcription.core.errors import ServiceUnavailable
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import WindowResult
from transcription.telemetry.tracing import client_traces

STATE_TIMEOUT = 2.0  # seconds; the answer takes milliseconds, unless the runner is being restarted

Answer = TypeVar("Answer")


class RunnerClient:
    """Calls a `WhisperRunner` in another process.

    proxy: the value of `bentoml.depends(whisper_runner)` inside a service.
    """

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy
        if isinstance(proxy, RemoteProxy):  # otherwise the runner is in this process
            proxy.to_async._session_manager = LastingSession(proxy.to_async)

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        """Decode one window. Cancelling closes the connection, which takes the window out of the runner's queue.

        Raises UnknownModel, ModelUnavailable, InvalidParameter, RefusedWindow, ServiceUnavailable.
        """
        reply: Reply = await _answer(self._proxy.transcribe(samples=window.samples, options=options, ticket=ticket))
        return reply.unpack()

    async def state(self) -> RunnerState:
        """The runner's current state.

        Raises ServiceUnavailable when its process does not answer.
        """
        return await _answer(self._state_in_time())

    async def _state_in_time(self) -> RunnerState:
        # Not asyncio.wait_for: before Python 3.12 it swallows a cancellation that comes together with the answer.
        async with asyncio.timeout(STATE_TIMEOUT):
            state: RunnerState = await self._proxy.state()
            return state


class LastingSession:
    """One HTTP session to the runner, in place of BentoML's session manager.

    BentoML 1.4.39 replaces the session of a dependency after 100 requests or 300 seconds and closes the old one at
    once, which breaks off every call in flight (`ClientConnectionError: Connection closed`), and it never opens more
    than 100 connections, so that the hundred-and-first window waits outside the scheduler that should rank it.
    client: BentoML's client of the dependency: its address, headers and time limit stay as they are.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._session: aiohttp.ClientSession | None = None

    async def get_session(self) -> aiohttp.ClientSession:
        """The session, opened on first use inside the running event loop."""
        if self._session is None:
            address = urlsplit(self._client.url)
            # One connection per call: it is cheap on a Unix socket, and no call can get a connection that the server
            # is closing as idle.
            connector: aiohttp.BaseConnector
            if address.scheme == "file":
                connector = aiohttp.UnixConnector(url2pathname(address.path), force_close=True, limit=0)
            else:
                connector = aiohttp.TCPConnector(force_close=True, limit=0)
            self._session = aiohttp.ClientSession(
                base_url=f"http://{address.netloc or 'localhost'}" if address.scheme != "https" else self._client.url,
                headers=self._client.default_headers,
                timeout=aiohttp.ClientTimeout(total=self._client.timeout),
                connector=connector,
                trace_configs=client_traces(),
            )
        return self._session

    async def close(self) -> None:
        """End the session with the service."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _answer(call: Awaitable[Answer]) -> Answer:
    try:
        return await call
    except (aiohttp.ClientError, BentoMLException, TimeoutError) as error:
        # Domain errors are part of the reply, so the process itself has failed: dead, starting, or overloaded.
        raise ServiceUnavailable(
            "The model's process does not answer; it is being restarted. Try again in a moment.",
            detail=f"{type(error).__name__}: {error}",
            retry_after=RESTART_SECONDS,
        ) from error
