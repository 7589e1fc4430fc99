"""One HTTP session to the runner, in place of BentoML's session manager.

BentoML 1.4.39 replaces the session of a dependency after 100 requests or 300 seconds and closes the old one at once,
which breaks every call in flight (`ClientConnectionError: Connection closed`). It also opens at most 100 connections,
so that further windows wait outside the scheduler that should rank them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import aiohttp
from _bentoml_impl.client import RemoteProxy  # type: ignore[import-untyped]

from transcription.telemetry.tracing import client_traces


class RunnerSession:
    """Session manager that opens one session and keeps it.

    client: BentoML's client of the dependency. Its address, headers and time limit are used unchanged.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._session: aiohttp.ClientSession | None = None

    async def get_session(self) -> aiohttp.ClientSession:
        """The session, opened on first use inside the running event loop."""
        if self._session is None:
            address = urlsplit(self._client.url)
            # One connection per call: cheap on a Unix socket, and a call never meets a connection that the server is
            # about to close as idle.
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
        """Close the session when the service stops."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def use_one_session(proxy: Any) -> None:
    """Install a RunnerSession in a dependency of BentoML's. A service in the same process stays unchanged."""
    if isinstance(proxy, RemoteProxy):
        proxy.to_async._session_manager = RunnerSession(proxy.to_async)


async def make_callable(proxy: Any) -> None:
    """Give a dependency its calls. BentoML does so only after the startup hook, whose background tasks make calls."""
    if isinstance(proxy, RemoteProxy):
        await proxy.__aenter__()
