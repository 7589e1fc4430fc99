"""A way to a server that can be closed, as a proxy or a firewall does that ends connections and refuses new ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.service import free_port

BLOCK = 65_536  # bytes


class Relay:
    """Passes connections on to `target`, a port of this machine, while it is open."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Pass on, from now on."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)

    def close(self) -> None:
        """End all connections, and refuse new ones. The servers behind do not notice more than that."""
        if self._server:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        both = {writer, back}
        self._writers |= both
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            self._writers -= both


@asynccontextmanager
async def relay(target: int) -> AsyncIterator[Relay]:
    """An open one."""
    way = Relay(target)
    await way.open()
    try:
        yield way
    finally:
        way.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await reader.read(BLOCK):
            writer.write(block)
            await writer.drain()
    writer.close()
