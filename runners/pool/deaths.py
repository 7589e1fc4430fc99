"""Which windows were on the device of a runner that died, or that no longer answers. Decides only.

A connection that ends tells that a process has died. Silence does not: the network may be cut, or the process stopped
for a while. It counts once another process answers in its place, and is forgotten when the same one does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from runners.batching.quarantine import QUARANTINE_SECONDS, REFUSED_FROM, Quarantine
from runners.client.interface import RESTART_SECONDS
from runners.pool.addresses import Address
from transcription.core.errors import ServiceUnavailable

# A silent runner is replaced by its watchdog, or back, by then. Afterwards its machine is taken to be gone.
SILENT_SECONDS = 120.0


@dataclass(slots=True)
class _Silence:
    """A runner that does not answer. since: seconds since the epoch. windows: fingerprints of those on its device."""

    since: float
    windows: set[str] = field(default_factory=set)


class Deaths:
    """What one client knows of the deaths of runners. wall: seconds since the epoch."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._quarantine = Quarantine()
        self._times: dict[str, float] = {}  # by instance
        self._silent: dict[tuple[Address, str], _Silence] = {}  # by address and instance

    @property
    def suspects_none(self) -> bool:
        """Whether no window is suspected, which spares its fingerprint."""
        return not self._quarantine.deaths and not self._silent

    def against(self, window: str) -> tuple[float, ...]:
        """The deaths that count against a window, seconds since the epoch. window: its fingerprint.

        Raises ServiceUnavailable while silences could make them enough to refuse it.
        """
        self._forget()
        deaths = self._quarantine.recent(window, self._wall())
        silences = sum(window in silence.windows for silence in self._silent.values())
        if len(deaths) < REFUSED_FROM <= len(deaths) + silences:
            raise ServiceUnavailable(
                "Runners stopped answering while they worked on this recording. Try again in a moment.",
                retry_after=RESTART_SECONDS,
            )
        return tuple(deaths)

    def told(self, deaths: Mapping[str, Iterable[float]]) -> None:
        """A runner tells deaths that others have seen, by fingerprint."""
        for window, times in deaths.items():
            self._quarantine.add(window, times)

    def died(self, instance: str, window: str, others: Iterable[float] = ()) -> None:
        """A runner has died with this window on its device. others: deaths that travelled with the window."""
        # One time for the whole process: several windows that were on its device may have the same audio.
        died = self._times.setdefault(instance, self._wall())
        self._quarantine.add(window, (*others, died))

    def fell_silent(self, address: Address, instance: str, window: str) -> None:
        """A runner with this window on its device does not answer."""
        self._silent.setdefault((address, instance), _Silence(self._wall())).windows.add(window)

    def answers(self, address: Address, instance: str) -> None:
        """A runner answers: the one that was silent here, or another one in its place."""
        for place, silence in list(self._silent.items()):
            if place[0] != address:
                continue
            del self._silent[place]
            if place[1] != instance:
                for window in silence.windows:
                    self.died(place[1], window)

    def _forget(self) -> None:
        now = self._wall()
        self._quarantine.forget_old(now)
        self._times = {name: died for name, died in self._times.items() if now - died < QUARANTINE_SECONDS}
        self._silent = {place: each for place, each in self._silent.items() if now - each.since < SILENT_SECONDS}
