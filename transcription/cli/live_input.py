"""Live audio from a pipe: raw PCM, or WAV, converted to 16 kHz mono while it arrives."""

from __future__ import annotations

import asyncio
import os
import struct
import threading
from collections.abc import AsyncIterator

from transcription.cli.transcriber import RecordingFailed
from transcription.core.errors import InvalidParameter
from transcription.live.pcm import Encoding, PcmFormat, PcmStream
from transcription.media.intake import containers
from transcription.media.intake.streams import begins_with_frames

READ_BYTES = 6400  # 0.2 s at 16 kHz
MOST_READ = 8  # blocks that were read and not transcribed; the pipe holds back what follows
MOST_HEADER_BYTES = 65_536  # of a WAV file, up to its samples
MARK_BYTES = 12  # as long as the longest mark at the beginning of a container
# Recognised by a few bytes, which may be those of samples: several frames in a row have to show them.
WITHOUT_MARK = frozenset({containers.MP3, containers.AAC, containers.AC3, containers.EAC3, containers.MPEG_TS})
WAV_ENCODINGS = {(1, 16): Encoding.INT16, (0xFFFE, 16): Encoding.INT16, (6, 8): Encoding.A_LAW, (7, 8): Encoding.MU_LAW}


class LiveInput:
    """Reads a pipe until its end, or until `stop`. Needs a running event loop. descriptor: of the pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._blocks: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = threading.Semaphore(MOST_READ)

    def stop(self) -> None:
        """End the audio after what has been read."""
        self._blocks.put_nowait(b"")

    async def blocks(self) -> AsyncIterator[bytes]:
        """The bytes as they come."""
        # A thread of its own that ends with the process: nothing else can leave a read from a silent terminal or pipe.
        threading.Thread(target=self._read, daemon=True).start()
        while block := await self._blocks.get():
            yield block
            self._room.release()

    def _read(self) -> None:
        block = b"begin"
        while block:
            self._room.acquire()
            try:
                block = os.read(self._descriptor, READ_BYTES)
            except OSError:
                block = b""
            if self._loop.is_closed():
                return
            self._loop.call_soon_threadsafe(self._blocks.put_nowait, block)


class PcmReader:
    """Finds out what a stream is, and converts it. rate: of raw PCM, Hz."""

    def __init__(self, rate: int) -> None:
        self._raw = PcmFormat(rate=rate)
        self._rest = b""
        self._stream: PcmStream | None = None
        self._frame_bytes = self._raw.frame_bytes

    def convert(self, data: bytes) -> bytes:
        """The samples that are complete: int16, little-endian, 16 kHz mono. Raises RecordingFailed."""
        self._rest += data
        if self._stream is None and not self._begin():
            return b""
        assert self._stream is not None
        whole = len(self._rest) // self._frame_bytes * self._frame_bytes
        samples, self._rest = self._rest[:whole], self._rest[whole:]
        return self._stream.convert(samples).astype("<i2").tobytes()

    def _begin(self) -> bool:
        """Whether enough has arrived to know the format."""
        head = self._rest
        is_file = _is_file(head) if len(head) >= MARK_BYTES else None
        if is_file is None:
            return False
        if is_file:
            raise RecordingFailed(
                "standard input is a file, not raw samples or WAV. Decode it while it arrives: "
                "ffmpeg -i FILE -f wav - | transcribe live"
            )
        pcm = self._raw
        if containers.recognise(head) is containers.WAV:
            found = wav_format(head)
            if found is None:
                return False
            pcm, start = found
            self._rest = head[start:]
        self._stream = PcmStream(pcm)
        self._frame_bytes = pcm.frame_bytes
        return True


def _is_file(head: bytes) -> bool | None:
    """Whether a stream is a file that has to be decoded; None if more of it has to tell."""
    if head.startswith(b"ID3"):
        return True
    found = containers.recognise(head[: containers.HEAD_BYTES])
    if found is None or found in WITHOUT_MARK:
        return begins_with_frames(head)
    return found is not containers.WAV


def wav_format(head: bytes) -> tuple[PcmFormat, int] | None:
    """The format of a WAV file and where its samples start; None if its header is longer than `head`.

    The stated lengths of the file and of the samples are ignored: a stream has none. Raises RecordingFailed.
    """
    pcm: PcmFormat | None = None
    at = 12
    while at + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, at)
        at += 8
        if name == b"data" and pcm:
            return pcm, at
        if name == b"fmt " and at + 16 <= len(head):
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", head, at)
            if (kind, bits) not in WAV_ENCODINGS:
                raise RecordingFailed("the WAV stream has no samples of 16 bits. Use ffmpeg with -c:a pcm_s16le.")
            try:
                pcm = PcmFormat(WAV_ENCODINGS[kind, bits], rate, channels)
            except InvalidParameter as error:
                raise RecordingFailed(error.message) from None
        at += size + size % 2
    if len(head) > MOST_HEADER_BYTES:
        raise RecordingFailed("the header of the WAV stream is too long. Send raw samples with --sample_rate.")
    return None
