"""A clock that stands still unless a test moves it."""

from __future__ import annotations


class Clock:
    """now: seconds, which a test may set."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds
