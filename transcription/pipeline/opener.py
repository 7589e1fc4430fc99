"""Opens the recordings of requests: reads their headers first, then waits for the memory that decoding takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from transcription.core.options import Channel, SoundOptions
from transcription.core.settings import Settings
from transcription.media.intake.upload import Upload
from transcription.media.media import Media
from transcription.media.open import choose_sound
from transcription.media.probe import probe
from transcription.media.quarantine import DecoderQuarantine
from transcription.pipeline.room import ROOM_BYTES, Room, Share, room_for
from transcription.pipeline.sides import SIDES, check_stereo
from transcription.telemetry.tracing import PROBE, traced

MOST_PROBES = 4  # processes that read headers at once; each takes milliseconds


class Opener:
    """Opens the recordings of a process. For one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._quarantine = DecoderQuarantine()
        self._probes = asyncio.Semaphore(MOST_PROBES)
        self._room = Room(ROOM_BYTES)

    @asynccontextmanager
    async def open(
        self, upload: Upload, sound: SoundOptions, *, whole: bool = True, background: bool = False
    ) -> AsyncIterator[tuple[Media, Share]]:
        """The media, to be decoded inside, and their share of the room. A file that is refused does not wait for it.

        whole: see `open_media`. background: for a job, which takes no room.
        Raises the errors of media/, InvalidParameter for channel=split on one channel, and ServiceUnavailable.
        """
        with self._quarantine.watching(upload.sha256):
            async with self._probes:
                with traced(PROBE):
                    media = await probe(upload, self._settings)
            media = await choose_sound(media, sound, self._settings, whole=whole)
            split = sound.channel is Channel.SPLIT
            if split:
                check_stereo(media)
            size = 0 if background else room_for(media.duration, len(SIDES) if split else 1)
            async with self._room.share(size) as share:
                yield media, share
