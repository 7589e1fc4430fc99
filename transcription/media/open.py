"""Opens an upload: what it is, which of its sound is meant, and how long it is."""

from __future__ import annotations

from transcription.core.options import SoundOptions
from transcription.core.settings import Settings
from transcription.media.intake.upload import Upload
from transcription.media.length import checked_length
from transcription.media.media import Media
from transcription.media.probe import probe
from transcription.media.tracks import choose_track


async def open_media(upload: Upload, sound: SoundOptions, settings: Settings, *, whole: bool = True) -> Media:
    """The media of an upload, ready to be decoded. whole: check its length, because all of it is wanted.

    Raises InvalidParameter for a track that the file does not have, and what `probe`, `choose_track` and
    `checked_length` raise.
    """
    return await choose_sound(await probe(upload, settings), sound, settings, whole=whole)


async def choose_sound(media: Media, sound: SoundOptions, settings: Settings, *, whole: bool = True) -> Media:
    """The media of `open_media`, from those of `probe`. Raises the same errors, but for those of `probe`."""
    media = await choose_track(media, sound, settings)
    return await checked_length(media, settings) if whole else media
