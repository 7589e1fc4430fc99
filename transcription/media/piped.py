"""Decoding of a recording that is still being made: ffmpeg reads it from a pipe, in the same sandbox as files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import UndecodableMedia
from transcription.core.settings import Settings
from transcription.media.damaged_webm import DamagedWebm
from transcription.media.decode import find_ffmpeg
from transcription.media.sandbox.launcher_protocol import FILE_DESCRIPTOR
from transcription.media.sandbox.process import Process, confined, limits

BLOCK_BYTES = SAMPLE_RATE // 5 * 2  # 0.2 s of PCM, at most, at a time
INVALID_DATA = 183  # exit code of ffmpeg: its error, and not that a recording ended before its first sound
PIECE_BYTES = 1 << 14  # written at a time
WEBM = "matroska"  # ffmpeg's demuxer; that of Ogg finds the next page by itself
PROBE_BYTES = 4096  # of its start are enough to find the one track of a browser's recording


class PipedDecoder:
    """One recording: bytes in, PCM out. `write` waits while the decoder has enough to do."""

    def __init__(self, writer: asyncio.StreamWriter, process: Process, repair: DamagedWebm | None) -> None:
        self._writer = writer
        self._repair = repair
        self._writing = asyncio.Lock()
        self._process = process
        self._written = False  # anything at all
        self._ended = False

    async def write(self, data: bytes) -> None:
        """The next bytes. They are lost if the decoder has ended, which `pcm` tells."""
        self._written = self._written or bool(data)
        # Shielded: a connection that drops meanwhile has handed the bytes over, and sends what follows them.
        await asyncio.shield(self._write(data))

    async def end(self) -> None:
        """No more bytes."""
        async with self._writing:
            self._ended = True
            if self._repair:
                self._writer.write(self._repair.end())
            self._writer.close()

    async def pcm(self) -> AsyncIterator[NDArray[np.int16]]:
        """PCM as soon as it is decoded: int16, shape (n,), 16 kHz mono. Ends with the recording.

        Raises UndecodableMedia if the decoder has ended before, or without sound: it does not understand the recording.
        """
        rest, silent = b"", True
        while data := await self._process.stdout.read(BLOCK_BYTES):
            data = rest + data
            whole = len(data) // 2 * 2
            rest, silent = data[whole:], False
            yield np.frombuffer(data[:whole], np.int16)
        if not self._ended or (silent and self._written and (await self._process.wait()).code == INVALID_DATA):
            raise UndecodableMedia(
                "The recording cannot be decoded. Send what MediaRecorder makes, from its first byte on."
            )

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            for start in range(0, len(data), PIECE_BYTES):
                piece = data[start : start + PIECE_BYTES]
                with suppress(BrokenPipeError, ConnectionResetError):
                    self._writer.write(self._repair.add(piece) if self._repair else piece)
                    await self._writer.drain()
                await asyncio.sleep(0)  # a large frame is not to hold up the other sessions


@asynccontextmanager
async def piped_decoder(demuxer: str, settings: Settings) -> AsyncIterator[PipedDecoder]:
    """A decoder for one recording; it is killed when the context ends. demuxer: ffmpeg's name of the container.

    Raises ServiceUnavailable if it cannot be started.
    """
    reading, writing = os.pipe()
    try:
        command = _command(str(find_ffmpeg(settings)), demuxer)
        resources = limits(settings.decode_memory_limit, settings.decode_timeout)
        async with confined(command, resources, reading) as process:
            os.close(reading)
            reading = -1
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.connect_write_pipe(
                asyncio.streams.FlowControlMixin, os.fdopen(writing, "wb", buffering=0)
            )
            writing = -1
            messages = asyncio.create_task(_discard(process.stderr))
            try:
                writer = asyncio.StreamWriter(transport, protocol, None, loop)
                yield PipedDecoder(writer, process, DamagedWebm() if demuxer == WEBM else None)
            finally:
                if not transport.is_closing() or transport.get_write_buffer_size():
                    transport.abort()  # fails if the decoder has ended before
                messages.cancel()
                await asyncio.gather(messages, return_exceptions=True)
    finally:
        for descriptor in (reading, writing):
            if descriptor >= 0:
                os.close(descriptor)


def _command(program: str, demuxer: str) -> list[str]:
    """No buffering, so that each piece is decoded when it arrives."""
    return [
        *(program, "-nostdin", "-hide_banner", "-loglevel", "error"),
        *("-fflags", "nobuffer", "-probesize", str(PROBE_BYTES), "-analyzeduration", "0"),
        *("-f", demuxer, "-threads", "1", "-i", f"pipe:{FILE_DESCRIPTOR}"),
        *("-vn", "-sn", "-dn", "-map", "0:a:0", "-map_metadata", "-1", "-threads", "1"),
        *("-ac", "1", "-ar", str(SAMPLE_RATE), "-flush_packets", "1", "-f", "s16le", "pipe:1"),
    ]


async def _discard(stream: asyncio.StreamReader) -> None:
    while await stream.read(BLOCK_BYTES):
        pass
