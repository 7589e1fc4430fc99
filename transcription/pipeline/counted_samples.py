"""Counts the samples of a recording while they are decoded, and gives back the memory that it no longer needs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE
from transcription.pipeline.room import Share


class CountedSamples:
    """PCM blocks as they are decoded, with a count of their samples. The duration in the container may be wrong.

    share: of the memory for requests. listener: gets each block as well, and is awaited before the next one is decoded.
    """

    def __init__(
        self,
        pcm: AsyncGenerator[NDArray[np.int16], None],
        share: Share,
        listener: Callable[[NDArray[np.int16]], Awaitable[None]] | None = None,
    ) -> None:
        self._pcm = pcm
        self._share = share
        self._listener = listener
        self.samples = 0

    def __aiter__(self) -> AsyncIterator[NDArray[np.int16]]:
        return self

    async def __anext__(self) -> NDArray[np.int16]:
        try:
            block = await anext(self._pcm)
        except StopAsyncIteration:
            self._share.decoder_ended()
            raise
        self.samples += len(block)
        self._share.decoded(self.samples / SAMPLE_RATE)
        if self._listener:
            await self._listener(block)
        return block

    async def aclose(self) -> None:
        await self._pcm.aclose()
