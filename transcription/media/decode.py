"""Decoding: from media to 16 kHz mono PCM, streamed from an ffmpeg process."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import AudioTooLong, AudioTooShort, UndecodableMedia
from transcription.core.options import Channel
from transcription.core.settings import Settings
from transcription.media.channels import mix
from transcription.media.filters import audio_filter, output_channels
from transcription.media.intake import containers
from transcription.media.media import Media
from transcription.media.sandbox.process import confined, limits
from transcription.telemetry.tracing import DECODE, traced

MIN_SECONDS = 0.1
BYTES_PER_SAMPLE = 2
BLOCK_BYTES = SAMPLE_RATE * BYTES_PER_SAMPLE  # one second
STDERR_BYTES = 4096  # kept of ffmpeg's error messages


def find_ffmpeg(settings: Settings) -> Path:
    """FFMPEG_PATH if set, else the ffmpeg in PATH, else the one that imageio-ffmpeg ships."""
    if settings.ffmpeg_path:
        return settings.ffmpeg_path
    found = shutil.which("ffmpeg")
    return Path(found or imageio_ffmpeg.get_ffmpeg_exe())


def ffmpeg_command(media: Media, program: Path, channel: Channel, max_seconds: float) -> list[str]:
    """The command line: one demuxer, one file, one audio stream. max_seconds: see `filters.audio_filter`."""
    source = ffmpeg.input(
        f"file:{media.path}",
        format=media.demuxer,
        # Playlists and references in the file can open no URL.
        **containers.open_options(media.demuxer, media.skip),
        threads=1,
        # Video, subtitles and data are not even read into packets.
        vn=None,
        sn=None,
        dn=None,
    )
    output = ffmpeg.output(
        source[str(media.stream_index)],
        "pipe:1",
        format="s16le",
        acodec="pcm_s16le",
        af=audio_filter(media, channel, max_seconds),
        map_metadata=-1,
        threads=1,
    )
    arguments: list[str] = output.global_args("-nostdin", "-hide_banner", "-loglevel", "error", "-copyts").compile(
        cmd=str(program)
    )
    return arguments


async def decode(
    media: Media, settings: Settings, channel: Channel = Channel.MIX
) -> AsyncGenerator[NDArray[np.int16], None]:
    """PCM in blocks of about one second: int16, shape (n,), 16 kHz mono, from the file's time 0 on.

    Stretches of the file without sound are silence, so that the index of a sample gives its time in the file.
    ffmpeg is paused while the caller does not ask for the next block. Closing the generator kills it.
    Raises AudioTooLong as soon as there are more than MAX_DURATION seconds, AudioTooShort for less than 0.1 s, and
    UndecodableMedia if nothing can be decoded, ffmpeg uses more than DECODE_TIMEOUT seconds of CPU, or a block takes
    longer than that.
    """
    command = ffmpeg_command(media, find_ffmpeg(settings), channel, settings.max_duration)
    channels = output_channels(media, channel)
    resources = limits(settings.decode_memory_limit, settings.decode_timeout)
    max_samples = settings.max_duration * SAMPLE_RATE
    received = 0
    with traced(DECODE):
        async with confined(command, resources, media.path) as process:
            errors = asyncio.create_task(_last_bytes(process.stderr))
            try:
                while len(block := await _read_block(process.stdout, channels, settings.decode_timeout)):
                    received += len(block)
                    if received > max_samples:
                        raise _too_long(settings)
                    yield block
                exit_code = await process.wait()
                output = await errors
            finally:
                errors.cancel()
                await asyncio.gather(errors, return_exceptions=True)
            _check(received, exit_code, output, media)


async def _read_block(stream: asyncio.StreamReader, channels: int, timeout_seconds: int) -> NDArray[np.int16]:
    """One second of PCM, or less at the end. channels: in the stream, 1 or 2."""
    try:
        async with asyncio.timeout(timeout_seconds):
            block = await stream.readexactly(channels * BLOCK_BYTES)
    except asyncio.IncompleteReadError as end:
        whole = channels * BYTES_PER_SAMPLE
        block = end.partial[: len(end.partial) // whole * whole]
    except TimeoutError:
        raise UndecodableMedia(
            f"Decoding made no progress for {timeout_seconds} s and was stopped. Convert the file to WAV or MP3."
        ) from None
    samples = np.frombuffer(block, np.int16)
    return mix(samples) if channels > 1 else samples


async def _last_bytes(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while chunk := await stream.read(STDERR_BYTES):
        kept = (kept + chunk)[-STDERR_BYTES:]
    return kept


def _check(received: int, exit_code: int, output: bytes, media: Media) -> None:
    # A truncated file is accepted: what could be decoded is transcribed.
    if received >= MIN_SECONDS * SAMPLE_RATE:
        return
    lines = output.decode(errors="replace").replace(str(media.path), "the file").strip().splitlines()
    detail = lines[-1] if lines else f"ffmpeg ended with code {exit_code}"
    if received == 0 and (exit_code != 0 or lines):
        raise UndecodableMedia("The audio in this file cannot be decoded. Is it complete?", detail)
    seconds = received / SAMPLE_RATE
    raise AudioTooShort(f"The recording is {seconds:.2f} s long; at least {MIN_SECONDS} s are needed.")


def _too_long(settings: Settings) -> AudioTooLong:
    """The error for more than MAX_DURATION seconds."""
    return AudioTooLong(
        f"The recording is longer than {settings.max_duration} s, the limit of this service. "
        "Split it, or have MAX_DURATION raised."
    )
