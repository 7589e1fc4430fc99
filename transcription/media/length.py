"""The length of a recording, counted where its container claims more than is allowed."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

from transcription.core.audio import SAMPLE_RATE
from transcription.core.settings import Settings
from transcription.media.decode import decode
from transcription.media.media import Media


async def checked_length(media: Media, settings: Settings) -> Media:
    """The media, with the counted duration if the container claims more than MAX_DURATION.

    The claim alone refuses nothing, but it is checked before the model works through it: decoding takes a
    hundredth of that time. Raises AudioTooLong, and the other errors of `decode`.
    """
    if media.duration is None or media.duration <= settings.max_duration:
        return media
    samples = 0
    async with aclosing(decode(media, settings)) as blocks:
        async for block in blocks:
            samples += len(block)
    return replace(media, duration=samples / SAMPLE_RATE)
