"""The client of the runner: implements `runners.client.interface.Runner` over a BentoML dependency."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import aiohttp
from bentoml.exceptions import BentoMLException

from runners.client.interface import RESTART_SECONDS, RunnerState
from runners.client.wire import Reply
from transcription.bentoml_patches.runner_session import make_callable, use_one_session
from transcription.core.audio import Window
from transcription.core.errors import ServiceUnavailable
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import WindowResult

STATE_TIMEOUT = 2.0  # seconds; the answer takes milliseconds, unless the runner is being restarted

Answer = TypeVar("Answer")


class RunnerClient:
    """Calls a `WhisperRunner` in another process.

    proxy: the value of `bentoml.depends(whisper_runner)` inside a service.
    """

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy
        use_one_session(proxy)

    @staticmethod
    async def prepare(proxy: Any) -> None:
        """Make the proxy callable before its first call, also in a startup hook."""
        await make_callable(proxy)

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
