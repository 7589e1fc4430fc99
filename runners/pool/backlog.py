"""The backlog of a runner as one client knows it. Decides only: no I/O, no clock."""

from __future__ import annotations


class Backlog:
    """Follows what the runner says, corrected by the windows that it cannot have counted yet."""

    def __init__(self) -> None:
        self._said = 0.0
        self._window_seconds = 0.0
        self._on_the_way = 0

    @property
    def seconds(self) -> float:
        """Estimated seconds until a window that is sent now is decoded."""
        return self._said + self._on_the_way * self._window_seconds

    def heard(self, seconds: float, window_seconds: float) -> None:
        """A state of the runner has come. It may or may not count the windows that are on the way."""
        self._said, self._window_seconds = seconds, window_seconds

    def sent(self) -> None:
        """A window is on the way."""
        self._on_the_way += 1

    def arrived(self, seconds: float) -> None:
        """A window that was on the way is in the runner's queue, whose backlog counts it."""
        self._said = seconds
        self._on_the_way -= 1

    def lost(self) -> None:
        """A window that was on the way did not arrive, or was refused."""
        self._on_the_way -= 1
