"""Chooses the audio track of a file that has several: the default one, or the first that has sound."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from enum import Enum, auto

import numpy as np

from transcription.core.errors import AudioTooLong, DecoderFailedOnce, InvalidParameter, UndecodableMedia
from transcription.core.options import SoundOptions
from transcription.core.settings import Settings
from transcription.core.transcript import OTHER_AUDIO_TRACKS, Notice
from transcription.media.decode import decode
from transcription.media.media import AudioTrack, Media
from transcription.media.windows import centre

MAX_TRIED = 8  # tracks; each that is silent is decoded to its end
# Largest magnitude of an int16 sample in silence: of the noise that encoders and dithering make of it. Speech that is
# 60 dB quieter than usual is louder.
SILENCE = 3
FAINT = 100  # 50 dB below full scale; a track that is nowhere louder is taken only if no other one is
PARAMETER = "audio_track"


class Sound(Enum):
    """What decoding a track shows."""

    HEARD = auto()
    FAINT = auto()
    SILENT = auto()
    UNDECODABLE = auto()


async def choose_track(media: Media, sound: SoundOptions, settings: Settings) -> Media:
    """The media with the track to transcribe.

    That is the one that the request names, or the default track (of several, the first), or if that cannot be decoded
    or has at most the hiss of an unused input, the first that has sound. Raises InvalidParameter, and
    ServiceUnavailable from `decode`.
    """
    if sound.audio_track is not None:
        return media.with_track(_named(media, sound.audio_track))
    if len(media.tracks) < 2:
        return media
    candidates = sorted(media.tracks, key=lambda track: not track.is_default)[:MAX_TRIED]
    found: dict[Sound, AudioTrack] = {}
    try:
        async with asyncio.timeout(settings.decode_timeout):
            for track in candidates:
                sound_of_track = await _listen(media.with_track(track), settings)
                if sound_of_track is Sound.HEARD:
                    return media.with_track(track)
                found.setdefault(sound_of_track, track)
    except TimeoutError:
        pass  # hours of silence; the default is as good as any
    return media.with_track(found.get(Sound.FAINT) or found.get(Sound.SILENT) or candidates[0])


def track_notices(media: Media, sound: SoundOptions) -> list[Notice]:
    """The notice that the file has other tracks than the one that was chosen; none if the request named it."""
    others = [track for track in media.tracks if track.index != media.stream_index]
    chosen = next((track for track in media.tracks if track.index == media.stream_index), None)
    if not others or chosen is None or sound.audio_track is not None:
        return []
    names = ", ".join(str(track) for track in others)
    message = (
        f"The file has {len(media.tracks)} audio tracks; {chosen} was transcribed. Not transcribed: {names}. "
        f"Send {PARAMETER} with a number to choose."
    )
    return [Notice(OTHER_AUDIO_TRACKS, message)]


def _named(media: Media, number: int) -> AudioTrack:
    track = next((track for track in media.tracks if track.number == number), None)
    if track is None:
        names = ", ".join(str(each) for each in media.tracks)
        raise InvalidParameter(f"The file has no audio track {number}. It has: {names}.", parameter=PARAMETER)
    return track


async def _listen(media: Media, settings: Settings) -> Sound:
    """Decode until there is sound."""
    loudest = 0
    try:
        async with aclosing(decode(media, settings)) as blocks:
            async for block in blocks:
                loudest = max(loudest, int(np.abs(centre(block).astype(np.int32)).max(initial=0)))
                if loudest > FAINT:
                    return Sound.HEARD
    except AudioTooLong:
        pass
    except (UndecodableMedia, DecoderFailedOnce):
        return Sound.UNDECODABLE
    return Sound.FAINT if loudest > SILENCE else Sound.SILENT
