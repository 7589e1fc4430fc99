"""Wyoming servers: several API processes on one port, and clients that take nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

from tests.support.service import free_port
from transcription.api.wyoming.framing import Event, encode
from transcription.api.wyoming.server import WyomingServer
from transcription.core.settings import Settings
from transcription.live.sessions import LiveSessions

TIME_LIMIT = 60  # seconds


def test_the_processes_share_the_port_and_the_connections() -> None:
    port = free_port()
    settings = Settings(whisper_model="demo", host="127.0.0.1", wyoming_port=port, workers=2)

    async def ask() -> asyncio.StreamWriter | None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:  # none of them listens yet
            await asyncio.sleep(0)
            return None
        writer.write(encode(Event("ping")))
        assert b'"pong"' in await reader.readline()
        return writer

    async def run() -> None:
        servers = [WyomingServer(settings, LiveSessions(cast(Any, None), settings)) for _ in range(settings.workers)]
        running = [asyncio.create_task(server.run()) for server in servers]
        clients = []
        async with asyncio.timeout(TIME_LIMIT):
            while not all(server.connections for server in servers):
                clients.append(await ask())
        assert sum(server.connections for server in servers) == len(list(filter(None, clients)))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(run())


def test_of_a_client_that_never_reads_nothing_is_kept() -> None:
    port = free_port()
    settings = Settings(whisper_model="demo", host="127.0.0.1", wyoming_port=port, download_timeout=1)
    asked = encode(Event("ping", {"text": "x" * 1000})) * 1000

    async def never_read(writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while True:
                writer.write(asked)
                await writer.drain()

    async def run() -> None:
        server = WyomingServer(settings, LiveSessions(cast(Any, None), settings))
        running = asyncio.create_task(server.run())
        await asyncio.sleep(0)  # listens
        while True:
            with suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
                break
        writer.transport.pause_reading()
        await never_read(writer)  # until the connection is reset
        while server.connections:
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(run(), TIME_LIMIT))
