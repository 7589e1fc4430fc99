"""Limits the memory of concurrent requests; others wait in order.

It counts the decoders of synchronous requests and the sound that they hold. Not counted: background jobs, which
JOB_CONCURRENCY limits; recordings longer than LONGEST_SHORT; and the decoders of `transcription/media/open.py`, which
listen for the track with sound or count the length of a file that claims more than MAX_DURATION.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import ServiceUnavailable

MIB = 1024 * 1024
ROOM_BYTES = 96 * MIB  # of a process; requests that wait have their files on the disk
DECODER_BYTES = 12 * MIB  # of ffmpeg, while it runs
BYTES_PER_SECOND = 2 * SAMPLE_RATE * 3 // 2  # int16; windows are copies of parts of what was decoded
# Seconds. A longer recording would keep the others waiting for minutes, so it takes no room; it is decoded as fast as
# the runner takes its windows.
LONGEST_SHORT = 120.0
MOST_WAITING = 1000


def room_for(seconds: float | None, decoders: int = 1) -> int:
    """Bytes that a recording of so many seconds takes while it is decoded. None: unknown.

    decoders: that run on it, each for a channel of its own.
    """
    if seconds is not None and seconds > LONGEST_SHORT:
        return 0
    sound = int((LONGEST_SHORT if seconds is None else seconds) * BYTES_PER_SECOND)
    return decoders * (DECODER_BYTES + sound)


class Share:
    """A part of a `Room`. size: bytes that are still taken."""

    def __init__(self, room: Room, size: int) -> None:
        self._room = room
        self.size = size

    def shrink(self, size: int) -> None:
        """Give back all but `size` bytes. A larger size changes nothing."""
        left = max(0, min(size, self.size))
        self._room.give_back(self.size - left)
        self.size = left

    def decoded(self, seconds: float) -> None:
        """So many seconds were decoded so far. More than LONGEST_SHORT keep nothing, whatever the file claims."""
        if seconds > LONGEST_SHORT:
            self.shrink(0)

    def decoder_ended(self) -> None:
        """Give back what one decoder takes."""
        self.shrink(self.size - DECODER_BYTES)


class Room:
    """A number of bytes. They are given in the order in which they are asked for."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def share(self, size: int) -> AsyncIterator[Share]:
        """Take `size` bytes for the duration of the context, as soon as there are as many. At most all are taken.

        0 bytes are there at once. Raises ServiceUnavailable if too many wait.
        """
        size = min(size, self._size)
        if size:
            await self._take(size)
        share = Share(self, size)
        try:
            yield share
        finally:
            share.shrink(0)

    def give_back(self, size: int) -> None:
        """Give bytes back that were taken; for `Share`."""
        self._free += size
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, turn = self._waiting.popleft()
            self._free -= wanted
            turn.set_result(None)

    async def _take(self, size: int) -> None:
        if not self._waiting and size <= self._free:
            self._free -= size
            return
        if len(self._waiting) >= MOST_WAITING:
            raise ServiceUnavailable("Too many recordings wait to be decoded. Try again in a moment.")
        mine = (size, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        try:
            await asyncio.wait((mine[1],))
        except BaseException:
            if mine in self._waiting:
                self._waiting.remove(mine)
                self.give_back(0)  # the next ones may be smaller
            else:  # it was given at the same moment
                self.give_back(size)
            raise
