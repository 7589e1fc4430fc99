"""The pool of runners: implements `runners.client.interface.Runner` over runners on other machines."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from runners.batching.quarantine import REFUSED_FROM, refused_window, window_fingerprint
from runners.client.interface import RESTART_SECONDS, RunnerState
from runners.models.catalogue import canonical
from runners.pool.addresses import Address
from runners.pool.admissions import Admissions
from runners.pool.choice import choose, combined
from runners.pool.deaths import Deaths
from runners.pool.member import Fate, Lost, Member
from runners.pool.members import Members
from runners.pool.messages import WindowMessage
from transcription.core.audio import Window
from transcription.core.errors import ModelUnavailable, ServiceUnavailable, TranscriptionError
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.settings import Settings
from transcription.core.transcript import WindowResult
from transcription.telemetry import metrics

# A request that is half done waits so long for a runner, as for one that is being restarted.
PATIENCE_SECONDS = 2 * RESTART_SECONDS
PAUSE_SECONDS = 0.5

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Attempts:
    """What has happened to one window. refusals: of the runners in `tried`."""

    tried: set[Address] = field(default_factory=set)
    refusals: list[TranscriptionError] = field(default_factory=list)


class RunnerPool:
    """Sends each window to a runner that has its model, and to another one if that runner dies, drains or refuses it.

    Start and use it in one event loop. draw: chooses the runners to compare. wall: seconds since the epoch.
    """

    def __init__(
        self, settings: Settings, draw: random.Random | None = None, wall: Callable[[], float] = time.time
    ) -> None:
        self._deaths = Deaths(wall)
        self._members = Members(settings, self._deaths)
        self._model = canonical(settings.whisper_model)
        self._draw = draw or random.Random()  # noqa: S311  # spreads load, guards nothing
        self._admissions = Admissions()

    @property
    def ready_runners(self) -> int:
        """Number of runners that take windows."""
        return sum(1 for member in self._members if member.candidate)

    def start(self) -> None:
        """Begin to look for runners, and return at once."""
        self._loop = asyncio.get_running_loop()
        self._members.start()

    async def close(self) -> None:
        """Stop following the runners."""
        await self._members.close()

    def stop(self) -> None:
        """As `close`, from another thread than that of the event loop. Blocks."""
        asyncio.run_coroutine_threadsafe(self.close(), self._loop).result()

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        """Decode one window. Cancelling takes it out of the runner's queue.

        Raises UnknownModel, ModelUnavailable, InvalidParameter, RefusedWindow, ServiceUnavailable.
        """
        options = replace(options, model=canonical(options.model))
        message = WindowMessage(window.samples, options, ticket, self._deaths_of(window, options))
        started, attempts = time.monotonic(), _Attempts()
        while True:
            admitted = self._admissions.has(ticket.owner)
            result = await self._try_all(replace(message, admitted=admitted), attempts)
            admitted = self._admissions.has(ticket.owner)  # perhaps by a runner that was then lost
            if result is not None:
                return result
            error = self._unavailable(options.model, attempts)
            if not admitted or not self._may_pass(error) or time.monotonic() - started > PATIENCE_SECONDS:
                raise error
            # Deaths go on counting; everything else begins anew.
            message = replace(message, deaths=self._deaths_of(window, options))
            attempts = _Attempts()
            await asyncio.sleep(PAUSE_SECONDS)

    async def state(self) -> RunnerState:
        """The state of the whole pool. Raises ServiceUnavailable if no runner answers."""
        if not self._members.states:
            await self._members.first_state()
        if not (states := self._members.states):
            raise ServiceUnavailable(
                "No runner answers. Try again in a moment.", detail=self._members.problems, retry_after=RESTART_SECONDS
            )
        return combined(states, self._model)

    async def _try_all(self, message: WindowMessage, attempts: _Attempts) -> WindowResult | None:
        """The result of the first runner that gives one; None when none is left to ask.

        Raises RefusedWindow, ServiceUnavailable.
        """
        while member := self._next(message.options.model, attempts):
            attempts.tried.add(member.address)
            try:
                return await member.transcribe(message, partial(self._admissions.add, message.ticket.owner))
            except (ServiceUnavailable, ModelUnavailable) as refusal:
                attempts.refusals.append(refusal)
                metrics.POOL_RETRIES.labels(reason="refused").inc()
            except Lost as loss:
                metrics.POOL_RETRIES.labels(reason="lost").inc()
                log.warning("window_lost", runner=str(member.address), running=loss.was_running, reason=str(loss))
                message = await self._after(loss, member, message)
        if len(message.deaths) >= REFUSED_FROM:
            raise refused_window()
        return None

    async def _after(self, loss: Lost, member: Member, message: WindowMessage) -> WindowMessage:
        """The window for the next runner, which refuses it after the second death, and tells all other clients.

        Raises ServiceUnavailable.
        """
        fate = await member.fate_of(loss.instance)
        if fate is Fate.ALIVE:
            return message
        member.distrust(str(loss))
        if not loss.was_running:
            return message
        name = window_fingerprint(message.samples, message.options)
        if loss.silent and fate is Fate.UNKNOWN:
            self._deaths.fell_silent(member.address, loss.instance, name)
        else:
            self._deaths.died(loss.instance, name)
        return replace(message, deaths=self._deaths.against(name))

    def _next(self, model: str, attempts: _Attempts) -> Member | None:
        waiting = {
            candidate.name: (candidate, member)
            for member in self._members
            if member.address not in attempts.tried and (candidate := member.candidate)
        }
        chosen = choose([candidate for candidate, _ in waiting.values()], model, self._draw)
        return waiting[chosen.name][1] if chosen else None

    def _deaths_of(self, window: Window, options: DecodeOptions) -> dict[str, float]:
        if self._deaths.suspects_none:
            return {}
        deaths = self._deaths.against(window_fingerprint(window.samples, options))
        if len(deaths) >= REFUSED_FROM:
            raise refused_window()
        return deaths

    def _unavailable(self, model: str, attempts: _Attempts) -> TranscriptionError:
        """The error after the last runner: that of the runner that will have room first."""
        refusals = [error for error in attempts.refusals if isinstance(error, ServiceUnavailable)]
        if refusals:
            return min(refusals, key=lambda error: error.retry_after)
        if attempts.refusals:
            return attempts.refusals[0]
        states = self._members.states
        if any(state.ready for state in states) and not attempts.tried:
            return ModelUnavailable(
                f"No runner at present serves the model '{model}'. Add it to MODELS of a group of runners, or "
                "wait until that group is ready."
            )
        return ServiceUnavailable(
            "No runner is ready. Try again in a moment.", detail=self._members.problems, retry_after=RESTART_SECONDS
        )

    def _may_pass(self, error: TranscriptionError) -> bool:
        """Whether to wait for a runner: one that does not answer at present may serve the model."""
        everyone_answers = all(member.announcement for member in self._members)
        return isinstance(error, ServiceUnavailable) or not everyone_answers
