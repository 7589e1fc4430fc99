"""Wyoming servers of several API processes on one port."""

from __future__ import annotations

import asyncio
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
