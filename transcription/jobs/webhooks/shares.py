"""How many callbacks are sent at once for a caller, and to one of its receivers: one that hangs delays no other.

Only decisions.
"""

from __future__ import annotations

import re
from collections import Counter

from transcription.jobs.job import Job
from transcription.jobs.store.base import Busy

MAX_CONCURRENT_ATTEMPTS = 32
# A caller may have as many attempts as it leaves free, and to each receiver a third of that. Alone they have 16 and 8,
# and the next ones a part of what is left: there is always a place for another. A receiver that hangs for one caller
# may answer another, so each has its own count.
CALLER_SHARE, RECEIVER_SHARE = 1.0, 1 / 3
RECEIVER = re.compile(r"[^/]*//[^/?#]*")  # scheme, host and port


def receiver_of(url: str) -> str:
    """The part of a URL that names the receiver, in lower case."""
    match = RECEIVER.match(url)
    return match[0].lower() if match else ""


class Shares:
    """The attempts in progress."""

    def __init__(self) -> None:
        self._callers: Counter[str] = Counter()
        self._receivers: Counter[tuple[str, str]] = Counter()

    def begin(self, job: Job) -> None:
        """An attempt for the job begins."""
        self._callers[job.caller] += 1
        self._receivers[_receiver(job)] += 1

    def end(self, job: Job) -> None:
        """An attempt for the job has ended."""
        self._callers -= Counter([job.caller])  # which drops those that have none
        self._receivers -= Counter([_receiver(job)])

    def busy(self) -> Busy:
        """Those that have their share."""
        free = MAX_CONCURRENT_ATTEMPTS - self._callers.total()
        return Busy(
            tuple(name for name, count in self._callers.items() if count >= free * CALLER_SHARE),
            tuple(name for name, count in self._receivers.items() if count >= free * RECEIVER_SHARE),
        )


def _receiver(job: Job) -> tuple[str, str]:
    assert job.delivery is not None
    return job.caller, receiver_of(job.delivery.url)
