"""How often sessions decode, and whether there is room for one more. Decides only: given times, no clock.

All sessions of a process share one measure, the time from a tick's offer to its result. It grows with the load of the
device, whatever the load is made of.
"""

from __future__ import annotations

import math

SHORTEST_TICK = 0.5  # seconds between two ticks of a session while the device is idle
LONGEST_TICK = 2.0
PER_LATENCY = 1.5  # the interval in latencies: a session uses two thirds of the time at most
LEARNING_RATE = 0.2  # weight of the newest tick
FRESH_SECONDS = 10.0  # without ticks for so long, nothing is known
# With a tick every 2 s, a word is confirmed one interval and one latency after it was said, on average one and a half.
MOST_LATENCY = 1.4  # seconds beyond which one more session would push confirmation beyond 3 s


class Pace:
    """Measures ticks. `now`: seconds on one monotonic clock."""

    def __init__(self) -> None:
        self._latency = 0.0
        self._measured_at = -math.inf

    def learn(self, latency: float, now: float) -> None:
        """A tick took this long, in seconds."""
        known = self.latency(now) or latency
        self._latency = known + LEARNING_RATE * (latency - known)
        self._measured_at = now

    def latency(self, now: float) -> float:
        """Seconds from a tick's offer to its result, smoothed; 0 if unknown."""
        return self._latency if now - self._measured_at <= FRESH_SECONDS else 0.0

    def interval(self, now: float) -> float:
        """Seconds between two ticks of a session."""
        return min(LONGEST_TICK, max(SHORTEST_TICK, PER_LATENCY * self.latency(now)))

    def has_time_to_search(self, now: float) -> bool:
        """Whether ticks can be decoded with several beams: they are as frequent as they may be."""
        return self.interval(now) == SHORTEST_TICK

    def has_room(self, now: float) -> bool:
        """Whether one more session leaves the others fast enough."""
        return self.latency(now) <= MOST_LATENCY
