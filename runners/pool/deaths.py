"""Which windows were on the device of a runner that died, or that no longer answers. Decides only.

A connection that ends means that the process has died, unless something in between cut it: the death is withdrawn when
the same process answers again. Silence is not yet a death: the network may be cut, or the process stopped for a while.
It counts as one when another process answers in its place, and is forgotten when the same one does.

Every client follows every runner, so each client withdraws a death on its own, no matter which client recorded it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from runners.batching.quarantine import QUARANTINE_SECONDS, REFUSED_FROM
from runners.client.interface import RESTART_SECONDS
from runners.pool.addresses import Address
from transcription.core.errors import ServiceUnavailable

# A silent runner is replaced by its watchdog, or back, by then. Afterwards its machine is taken to be gone.
SILENT_SECONDS = 120.0
UNDER_WAY_SECONDS = 5.0  # what a process said before its death may be read a little after it


class Register:
    """Deaths by window and by process: each process dies once, however many saw it and whatever was on its device.

    by_window: times by instance, by the fingerprint of the window. Seconds since the epoch.
    """

    def __init__(self) -> None:
        self.by_window: dict[str, dict[str, float]] = {}

    def add(self, window: str, deaths: Mapping[str, float]) -> bool:
        """Merge deaths, by instance; the latest time counts. Returns whether one of them is new or later."""
        known = self.by_window.get(window, {})
        new = {name: died for name, died in deaths.items() if died > known.get(name, 0.0)}
        if new:
            self.by_window[window] = {**known, **new}
        return bool(new)

    def withdraw(self, instance: str) -> None:
        """This process has not died."""
        self._keep(lambda name, _: name != instance)

    def forget_old(self, now: float) -> None:
        """Drop deaths that count no more."""
        self._keep(lambda _, died: now - died < QUARANTINE_SECONDS)

    def _keep(self, counts: Callable[[str, float], bool]) -> None:
        left = {
            window: {name: died for name, died in deaths.items() if counts(name, died)}
            for window, deaths in self.by_window.items()
        }
        self.by_window = {window: deaths for window, deaths in left.items() if deaths}


@dataclass(slots=True)
class _Silence:
    """A runner that does not answer. since: seconds since the epoch. windows: fingerprints of those on its device."""

    since: float
    windows: set[str] = field(default_factory=set)


class Deaths:
    """What one client knows of the deaths of runners. wall: seconds since the epoch."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._register = Register()
        self._learnt: dict[str, float] = {}  # when this client learnt of its death, by instance
        self._withdrawn: dict[str, float] = {}  # by instance: no death up to this time counts
        self._silent: dict[tuple[Address, str], _Silence] = {}  # by address and instance

    @property
    def suspects_none(self) -> bool:
        """Whether no window is suspected, which spares its fingerprint."""
        return not self._register.by_window and not self._silent

    def against(self, window: str) -> dict[str, float]:
        """The deaths that count against a window: times by instance. window: its fingerprint.

        Raises ServiceUnavailable while silences could make them enough to refuse it.
        """
        self._forget()
        deaths = dict(self._register.by_window.get(window, {}))
        silences = sum(window in silence.windows for silence in self._silent.values())
        if len(deaths) < REFUSED_FROM <= len(deaths) + silences:
            raise ServiceUnavailable(
                "Runners stopped answering while they worked on this recording. Try again in a moment.",
                retry_after=RESTART_SECONDS,
            )
        return deaths

    def told(self, deaths: Mapping[str, Mapping[str, float]]) -> None:
        """A runner tells deaths that others have seen: times by instance, by fingerprint."""
        for window, each in deaths.items():
            counting = {name: died for name, died in each.items() if died > self._withdrawn.get(name, 0.0)}
            if self._register.add(window, counting):
                self._learnt.update(dict.fromkeys(counting, self._wall()))

    def died(self, instance: str, window: str) -> None:
        """A runner has died with this window on its device."""
        now = self._wall()
        self._register.add(window, {instance: now})
        self._learnt[instance] = now

    def fell_silent(self, address: Address, instance: str, window: str) -> None:
        """A runner with this window on its device does not answer."""
        self._silent.setdefault((address, instance), _Silence(self._wall())).windows.add(window)

    def answers(self, address: Address, instance: str) -> None:
        """A runner answers: the one that was silent here or taken to be dead, or another one in its place."""
        self._withdraw_if_alive(instance)
        for place, silence in list(self._silent.items()):
            if place[0] != address:
                continue
            del self._silent[place]
            if place[1] != instance:
                for window in silence.windows:
                    self.died(place[1], window)

    def _withdraw_if_alive(self, instance: str) -> None:
        now = self._wall()
        if now - self._learnt.get(instance, now) < UNDER_WAY_SECONDS:
            return
        del self._learnt[instance]
        # A runner repeats what it was told for an hour; the clock of the machine that saw the death may be ahead.
        times = [deaths[instance] for deaths in self._register.by_window.values() if instance in deaths]
        self._withdrawn[instance] = max((now, *times))
        self._register.withdraw(instance)

    def _forget(self) -> None:
        now = self._wall()
        self._register.forget_old(now)
        self._learnt = {name: since for name, since in self._learnt.items() if now - since < QUARANTINE_SECONDS}
        self._withdrawn = {name: until for name, until in self._withdrawn.items() if now - until < QUARANTINE_SECONDS}
        self._silent = {place: each for place, each in self._silent.items() if now - each.since < SILENT_SECONDS}
