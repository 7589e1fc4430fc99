"""Counts the samples of a recording while they are decoded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import numpy as np
from numpy.typing import NDArray


class CountedSamples:
    """PCM blocks as they are decoded, with a count of their samples. The duration in the container may be wrong.

    listener: gets each block as well, and is awaited before the next one is decoded. ended: called at the end.
    """

    def __init__(
        self,
        pcm: AsyncGenerator[NDArray[np.int16], None],
        listener: Callable[[NDArray[np.int16]], Awaitable[None]] | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._pcm = pcm
        self._listener = listener
        self._ended = ended
        self.samples = 0

    def __aiter__(self) -> AsyncIterator[NDArray[np.int16]]:
        return self

    async def __anext__(self) -> NDArray[np.int16]:
        try:
            block = await anext(self._pcm)
        except StopAsyncIteration:
            self._ended()
            raise
        self.samples += len(block)
        if self._listener:
            await self._listener(block)
        return block

    async def aclose(self) -> None:
        await self._pcm.aclose()
