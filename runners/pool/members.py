"""The runners that the names in RUNNER_URL lead to, at any time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from runners.client.interface import RunnerState
from runners.pool.addresses import Address, parse_urls, resolve_all
from runners.pool.deaths import Deaths
from runners.pool.member import Member
from transcription.core.settings import Settings
from transcription.telemetry import metrics
from transcription.telemetry.background import going_on

RESOLVE_SECONDS = 1.5  # between two looks at the names: a new runner gets windows within 2 s
FIRST_STATE_SECONDS = 2.0  # for the first answer of a runner, after the start of the process
SHOWN = 5  # problems in a message


class Members:
    """Follows the names, and every runner that they lead to. Start and use it in one event loop.

    deaths: learns which runners answer, and the deaths that they tell.
    """

    def __init__(self, settings: Settings, deaths: Deaths) -> None:
        self._urls = parse_urls(settings.runner_url)
        self._token = settings.runner_token
        self._members: dict[Address, Member] = {}
        self._changed = asyncio.Event()
        self._deaths = deaths
        self._following: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def start(self) -> None:
        """Begin to look for runners, and return at once."""
        self._started = asyncio.get_running_loop().time()
        self._following = asyncio.create_task(self._follow_names())

    async def close(self) -> None:
        """Stop following."""
        if self._following:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await asyncio.gather(*(member.close() for member in self))

    @property
    def states(self) -> Sequence[RunnerState]:
        """Of the runners that answer, speak our version and do not drain."""
        return [announcement.state for member in self if (announcement := member.announcement)]

    @property
    def problems(self) -> str:
        """Why runners take no windows, for an engineer."""
        if not self._members:
            return f"RUNNER_URL ({', '.join(self._urls)}) resolves to no address."
        return "; ".join(f"{member.address}: {member.problem}" for member in list(self)[:SHOWN] if member.problem)

    async def first_state(self) -> None:
        """Wait for the first answer of a runner, if this process has just started."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._started + FIRST_STATE_SECONDS):
                while not self.states:
                    self._changed.clear()
                    await self._changed.wait()

    async def _follow_names(self) -> None:
        while True:
            with going_on("runner_names"):
                await self._look_up_names()
            metrics.POOL_RUNNERS.set(sum(1 for member in self if member.candidate))
            await asyncio.sleep(RESOLVE_SECONDS)

    async def _look_up_names(self) -> None:
        found = await resolve_all(self._urls)
        if not found:
            return  # the name server fails, or all runners are gone: the ones that we know will tell
        for address in found - set(self._members):
            self._members[address] = Member(address, self._token, self._deaths, self._changed.set)
        for address in set(self._members) - found:
            # Windows that are there are finished: a runner leaves the name before it ends.
            if not (member := self._members[address]).is_busy:
                del self._members[address]
                await member.close()
