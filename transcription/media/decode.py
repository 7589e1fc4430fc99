"""Decoding: from media to 16 kHz mono PCM, streamed from an ffmpeg process, or from the file if it holds just that."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import AudioTooLong, AudioTooShort, ServiceUnavailable, UndecodableMedia
from transcription.core.options import Channel
from transcription.core.settings import Settings
from transcription.core.transcript import Notice
from transcription.media.channels import mix, mix_all
from transcription.media.completeness import Ending
from transcription.media.decoder_end import Cause, Message, cause_of, error_of, has_no_memory, messages_in
from transcription.media.filters import audio_filter, output_channels
from transcription.media.intake import containers
from transcription.media.media import Media
from transcription.media.sandbox.launcher_protocol import FILE_PATH, End
from transcription.media.sandbox.process import Process, confined, limits
from transcription.media.truncation import ending_notices, reaches_stated_end
from transcription.telemetry.tracing import DECODE, traced

MIN_SECONDS = 0.1
BYTES_PER_SAMPLE = 2
BLOCK_BYTES = SAMPLE_RATE * BYTES_PER_SAMPLE  # one second
STDERR_BYTES = 4096  # kept of ffmpeg's messages
BUSY_SHARE = 0.5  # of the time in which no block came


def find_ffmpeg(settings: Settings) -> Path:
    """FFMPEG_PATH if set, else the ffmpeg in PATH, else the one that imageio-ffmpeg ships."""
    if settings.ffmpeg_path:
        return settings.ffmpeg_path
    found = shutil.which("ffmpeg")
    return Path(found or imageio_ffmpeg.get_ffmpeg_exe())


def ffmpeg_command(media: Media, program: Path, channel: Channel, max_seconds: float) -> list[str]:
    """The command line: one demuxer, one file, one audio stream. max_seconds: see `filters.audio_filter`."""
    source = ffmpeg.input(
        f"file:{FILE_PATH}",
        format=media.demuxer,
        # Playlists and references in the file can open no URL.
        **containers.open_options(media.demuxer, media.skip),
        **({"ignore_length": "1"} if media.ending is Ending.UNCOUNTED else {}),
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
    messages = ("-nostdin", "-hide_banner", "-loglevel", "level+warning")
    arguments: list[str] = output.global_args(*messages, "-copyts").compile(cmd=str(program))
    return arguments


async def decode(
    media: Media, settings: Settings, notices: list[Notice] | None = None, channel: Channel = Channel.MIX
) -> AsyncGenerator[NDArray[np.int16], None]:
    """PCM in blocks of about one second: int16, shape (n,), 16 kHz mono, from the file's time 0 on.

    Stretches of the file without sound are silence, so that the index of a sample gives its time in the file.
    notices: what is to know about the file is added at its end.
    Plain media are read as they are, others by ffmpeg, which is paused while the caller does not ask for the next
    block. Closing the generator kills it.
    Raises AudioTooLong as soon as there are more than MAX_DURATION seconds, AudioTooShort for less than 0.1 s,
    UndecodableMedia if nothing can be decoded, ServiceUnavailable if the decoder was stopped or a block takes longer
    than DECODE_TIMEOUT, and DecoderFailedOnce if it crashed, used more than DECODE_TIMEOUT seconds of CPU or ran out of
    memory. It ends without an error only at the end of the file.
    """
    max_samples = settings.max_duration * SAMPLE_RATE
    received = 0
    source = _stored(media, media.plain, settings) if media.plain else _decoded(media, settings, notices, channel)
    with traced(DECODE):
        async with aclosing(source) as blocks:
            async for block in blocks:
                received += len(block)
                if received > max_samples:
                    raise _too_long(settings)
                yield block
    if received < MIN_SECONDS * SAMPLE_RATE:
        raise _too_short(received / SAMPLE_RATE)


async def _stored(media: Media, plain: range, settings: Settings) -> AsyncGenerator[NDArray[np.int16], None]:
    """The blocks of plain media. Raises ServiceUnavailable if the disk does not return one within DECODE_TIMEOUT."""
    for start in plain[::BLOCK_BYTES]:
        length = min(BLOCK_BYTES, plain.stop - start)
        try:
            async with asyncio.timeout(settings.decode_timeout):
                block = await asyncio.to_thread(os.pread, media.file.fileno(), length, start)
        except OSError:  # TimeoutError is one
            block = b""
        if len(block) < length:
            raise ServiceUnavailable("The recording cannot be read from the disk. Try again.")
        yield np.frombuffer(block, np.int16)


async def _decoded(
    media: Media, settings: Settings, notices: list[Notice] | None, channel: Channel
) -> AsyncGenerator[NDArray[np.int16], None]:
    """The blocks of other media. See `decode`."""
    command = ffmpeg_command(media, find_ffmpeg(settings), channel, settings.max_duration)
    channels = output_channels(media, channel)
    resources = limits(settings.decode_memory_limit, settings.decode_timeout)
    received = 0
    async with confined(command, resources, media.file.fileno()) as process:
        errors = asyncio.create_task(_last_bytes(process.stderr))
        try:
            while len(block := await _read_block(process, channels, settings)):
                received += len(block)
                yield block
            end = await process.wait()
            messages = messages_in(await errors, FILE_PATH)
        finally:
            errors.cancel()
            await asyncio.gather(errors, return_exceptions=True)
        _check(received, end, messages, media, settings)
        if notices is not None:
            notices += ending_notices(media, received / SAMPLE_RATE, messages)


async def _read_block(process: Process, channels: int, settings: Settings) -> NDArray[np.int16]:
    """One second of PCM, or less at the end. channels: in the output of the process, see `filters.output_channels`."""
    try:
        async with asyncio.timeout(settings.decode_timeout):
            block = await process.stdout.readexactly(channels * BLOCK_BYTES)
    except asyncio.IncompleteReadError as end:
        whole = channels * BYTES_PER_SAMPLE
        block = end.partial[: len(end.partial) // whole * whole]
    except TimeoutError:
        raise await _no_progress(process, settings) from None
    samples = np.frombuffer(block, np.int16)
    if channels > 2:
        return mix_all(samples, channels)
    return mix(samples) if channels == 2 else samples


async def _no_progress(process: Process, settings: Settings) -> ServiceUnavailable:
    """The error of a block that takes longer than DECODE_TIMEOUT.

    The recording may be at fault if ffmpeg was computing all the time. Otherwise ffmpeg or the machine stood still.
    """
    limit = settings.decode_timeout
    process.kill()
    end = await process.wait()
    if end.cpu_seconds > limit * BUSY_SHARE and (error := error_of(Cause.CPU, end, settings, limit)):
        return error
    return ServiceUnavailable(f"Decoding made no progress for {limit} s and was stopped. Try again.")


async def _last_bytes(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while chunk := await stream.read(STDERR_BYTES):
        kept = (kept + chunk)[-STDERR_BYTES:]
    return kept


def _check(received: int, end: End, messages: Sequence[Message], media: Media, settings: Settings) -> None:
    """Raise unless the decoder reached the end of a file, or where it breaks off."""
    seconds = received / SAMPLE_RATE
    limit = settings.decode_timeout
    cause = cause_of(end, messages, limit)
    if cause is Cause.FILE and has_no_memory(messages) and not reaches_stated_end(media, seconds):
        cause = Cause.MEMORY  # ffmpeg leaves out what it has no memory for, and goes on
    if error := error_of(cause, end, settings, limit):
        raise error
    errors = [message.text for message in messages if message.is_error]
    if received == 0 and (end.code != 0 or errors):
        detail = errors[-1] if errors else f"ffmpeg ended with code {end.code}"
        raise UndecodableMedia("The audio in this file cannot be decoded. Is it complete?", detail)


def _too_short(seconds: float) -> AudioTooShort:
    """The error for less than MIN_SECONDS."""
    rounded_down = math.floor(seconds * 1000) / 1000
    return AudioTooShort(f"The recording is {rounded_down:.3f} s long; at least {MIN_SECONDS} s are needed.")


def _too_long(settings: Settings) -> AudioTooLong:
    """The error for more than MAX_DURATION seconds."""
    return AudioTooLong(
        f"The recording is longer than {settings.max_duration} s, the limit of this service. "
        "Split it, or have MAX_DURATION raised."
    )
