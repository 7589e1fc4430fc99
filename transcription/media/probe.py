"""Identifies an uploaded file by its content, and checks that its name and declared type agree."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from typing import Any

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import (
    AudioTooShort,
    DecoderFailed,
    NoAudioStream,
    ServiceUnavailable,
    UndecodableMedia,
    UnsupportedFormat,
)
from transcription.core.settings import Settings
from transcription.media.completeness import Ending
from transcription.media.decoder_end import cause_of, error_of
from transcription.media.intake import containers
from transcription.media.intake.containers import Container
from transcription.media.intake.identify import identify
from transcription.media.intake.upload import Upload
from transcription.media.media import AudioTrack, Media
from transcription.media.plain import description, plain_samples
from transcription.media.sandbox.process import inspecting, limits

INSPECT_SECONDS = 20  # of CPU time; reading headers takes milliseconds
ANSWER_SECONDS = 60  # of wall-clock time; past it the machine is overloaded, and the file is not to blame
ANSWER_BYTES = 1 << 20  # more than the description of a thousand streams
MIN_RATE, MAX_RATE = 1_000, 768_000  # Hz
MAX_CHANNELS = 64
# Demuxers that take the duration of a stream from a header that counts its samples, not from the size of the file.
COUNTS_SOUND = frozenset({"mov", "flac", "aiff", "caf", "au", "wv"})


async def probe(upload: Upload, settings: Settings) -> Media:
    """Identify the upload and its audio streams, the first of which is selected.

    Raises UnsupportedFormat, NoAudioStream, UndecodableMedia, AudioTooShort for an empty file, ServiceUnavailable if
    the machine is overloaded or the process was stopped, DecoderFailedOnce if it crashed or used too much CPU time, and
    DecoderFailed if the headers take too much memory.
    """
    container, skip, plain = await asyncio.to_thread(_recognise, upload, settings)
    found = description(plain) if plain else await _inspect(upload.opened.fileno(), container, skip, settings)
    streams = [stream for stream in found["streams"] if stream["type"] == "audio"]
    if not streams:
        raise NoAudioStream(
            f"No audio stream in {_called(upload)} ({_count(found['streams'])}). Send a file with sound."
        )
    counts = container.demuxer in COUNTS_SOUND
    tracks = tuple(
        _track(number, stream, counts=counts) for number, stream in enumerate(streams, 1) if not _implausible(stream)
    )
    if not tracks:
        raise UndecodableMedia(_implausible(streams[0]))
    first = tracks[0]
    ending = Ending(found["ending"])
    return Media(
        file=upload.opened,
        sha256=upload.sha256,
        size=upload.size,
        format=container.name,
        demuxer=container.demuxer,
        codec=first.codec,
        stream_index=first.index,
        duration=None if ending is Ending.UNCOUNTED else found["duration"],
        stated_end=first.stated_end,
        first_sound=first.first_sound,
        ending=ending,
        channels=first.channels,
        layout=first.layout,
        start=0.0 if container.demuxer in containers.COUNTS_FRAMES else found["start"],
        tracks=tracks,
        skip=skip,
        plain=plain,
    )


def _track(number: int, stream: dict[str, Any], *, counts: bool) -> AudioTrack:
    """counts: the container counts the samples of a stream."""
    return AudioTrack(
        number=number,
        index=stream["index"],
        codec=stream["codec"],
        channels=stream.get("channels", 0),  # absent for an unknown codec
        layout=stream.get("layout", ""),
        is_default=stream["default"],
        language=stream["language"],
        title=stream["title"],
        stated_end=stream.get("duration") if counts else None,
        first_sound=stream.get("start"),
    )


def _implausible(stream: dict[str, Any]) -> str:
    """Why a stream is refused: resampling costs what the file states, not what it contains. Empty if plausible."""
    rate, channels = stream.get("rate", 0), stream.get("channels", 0)
    if rate and not MIN_RATE <= rate <= MAX_RATE:
        return (
            f"The file has a sample rate of {rate} Hz; {MIN_RATE} to {MAX_RATE} Hz are accepted. "
            f"Convert it to {SAMPLE_RATE} Hz."
        )
    if channels > MAX_CHANNELS:
        return f"The file has {channels} channels; up to {MAX_CHANNELS} are accepted. Mix them down to one."
    return ""


def _recognise(upload: Upload, settings: Settings) -> tuple[Container, int, range | None]:
    """The container, the number of bytes before its first frame, and its samples if they need no decoder."""
    if not upload.size:
        raise AudioTooShort("The file is empty. Send a file with sound.")
    container, skip = identify(upload)
    if container is None:
        raise UnsupportedFormat(
            f"{_called(upload)} is not a supported audio or video file.", f"Supported formats: {containers.SUPPORTED}"
        )
    plain = plain_samples(os.pread(upload.opened.fileno(), containers.HEAD_BYTES, 0), upload.size)
    if upload.lenient or not settings.strict_media_types:
        return container, skip, plain
    problem = containers.contradiction(container, upload.filename, upload.content_type)
    if problem:
        raise UnsupportedFormat(
            f"The content of {_called(upload)} is {container.name}, but {problem}. Correct the name or the declared "
            "type, or convert the file.",
            f"Supported formats: {containers.SUPPORTED}",
        )
    return container, skip, plain


async def _inspect(file: int, container: Container, skip: int, settings: Settings) -> dict[str, Any]:
    resources = limits(settings.decode_memory_limit, INSPECT_SECONDS)
    async with inspecting(file, container.demuxer, resources, skip) as process:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await _read_answer(process.stdout)
        except TimeoutError:
            raise ServiceUnavailable(
                f"The service is overloaded: the file could not be read within {ANSWER_SECONDS} s. Try again."
            ) from None
        end = await process.wait()
        if error := error_of(cause_of(end, (), INSPECT_SECONDS), end, settings, INSPECT_SECONDS):
            raise error
    try:
        found: dict[str, Any] = json.loads(answer)
    except ValueError:
        found = {"error": "the parser crashed"}
    if found.get("no_memory"):  # a number in its headers asks for it: the next time it would be the same
        raise DecoderFailed(
            f"Reading the headers of this file takes more than DECODE_MEMORY_LIMIT, {settings.decode_memory_limit} "
            "bytes. Convert it to WAV or MP3.",
            found["error"],
        )
    if "error" in found:
        raise UndecodableMedia(
            f"The file looks like {container.name} but cannot be read. Is it complete?", found["error"]
        )
    return found


async def _read_answer(stream: asyncio.StreamReader) -> bytes:
    answer = b""
    while len(answer) < ANSWER_BYTES and (part := await stream.read(ANSWER_BYTES)):
        answer += part
    return answer


def _called(upload: Upload) -> str:
    return f"'{upload.filename}'" if upload.filename else "the file"


def _count(streams: list[dict[str, Any]]) -> str:
    kinds = Counter(stream["type"] or "unknown" for stream in streams)
    counted = [f"{number} {kind} stream{'s' if number > 1 else ''}" for kind, number in kinds.items()]
    return ", ".join(counted) or "no streams"
