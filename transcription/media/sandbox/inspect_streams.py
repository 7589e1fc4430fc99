"""Describes a file's streams with PyAV. Runs only in a confined child of the launcher."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import av
import av.subtitles.stream  # otherwise PyAV imports it in each child, once the file is open
from av.container import InputContainer
from av.stream import Disposition

from transcription.media.completeness import Ending, ending_of
from transcription.media.intake import containers

TAG_CHARACTERS = 60
FIRST_PACKETS = 500  # read at most, to find where the pictures start


def inspect(path: str, demuxer: str, skip: int = 0) -> dict[str, Any]:
    """Streams, duration and start (seconds) of a file, opened with `demuxer` only. skip: bytes at its start.

    Raises av.error.FFmpegError and OSError.
    """
    with av.open(
        f"file:{path}", format=demuxer, options=containers.open_options(demuxer, skip), metadata_errors="replace"
    ) as container:
        assert isinstance(container, InputContainer)
        return {
            "format": container.format.name,
            "duration": _duration(container),
            "start": _start(container),
            "ending": _ending(path, demuxer, skip),
            "streams": [
                {"index": stream.index, "type": stream.type, "codec": _codec(stream), **_sound(stream)}
                for stream in container.streams
            ],
        }


def _duration(container: InputContainer) -> float | None:
    if container.duration is not None and container.duration > 0:
        return float(container.duration / av.time_base)
    lengths = [
        float(stream.duration * stream.time_base)
        for stream in container.streams.audio
        if stream.duration and stream.time_base
    ]
    return max(lengths, default=None)


def _start(container: InputContainer) -> float | None:
    """The earliest timestamp of sound or pictures, in seconds; None if there are none.

    libavformat tells the start of pictures only if it decodes them, so it is read from their first packets.
    """
    starts = [
        float(stream.start_time * stream.time_base)
        for stream in container.streams.audio
        if stream.start_time is not None and stream.time_base
    ]
    waiting = {stream.index for stream in container.streams.video if not stream.disposition & Disposition.attached_pic}
    with suppress(av.error.FFmpegError):  # damage after the headers, which decoding will show
        for packet in islice(container.demux(), FIRST_PACKETS) if starts and waiting else ():
            if packet.stream_index in waiting and packet.pts is not None and packet.time_base:
                starts.append(float(packet.pts * packet.time_base))
                waiting.remove(packet.stream_index)
            if not waiting:
                break
    return min(starts, default=None)


def _ending(path: str, demuxer: str, skip: int) -> Ending:
    with Path(path).open("rb") as file:
        return ending_of(file, file.seek(0, os.SEEK_END), demuxer, skip)


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return str(context.name) if context is not None else ""


def _sound(stream: Any) -> dict[str, Any]:
    """Sample rate (Hz), channels, their layout, duration and start (seconds), default flag and tags of an audio
    stream.

    As stated by the file. A rate or number of 0 is unknown, a duration or start of None as well.
    """
    if stream.type != "audio":
        return {}
    context = stream.codec_context
    found = {
        "default": bool(stream.disposition & Disposition.default),
        **{tag: _printable(stream.metadata.get(tag, "")) for tag in ("language", "title")},
    }
    if context is None:
        return found
    stated = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
    return found | {
        "rate": context.sample_rate,
        "channels": context.channels,
        "layout": context.layout.name,
        "duration": stated,
        "start": float(stream.start_time * stream.time_base)
        if stream.start_time is not None and stream.time_base
        else None,
    }


def _printable(tag: str) -> str:
    """The start of a tag as one line, for messages."""
    return "".join(character if character.isprintable() else " " for character in tag[:TAG_CHARACTERS]).strip()


def describe(path: str, demuxer: str, skip: int = 0) -> dict[str, Any]:
    """The result of `inspect`, or {"error": reason}; with "no_memory" if an allocation failed."""
    try:
        return inspect(path, demuxer, skip)
    except MemoryError as error:
        return {"error": str(error).replace(path, "the file"), "no_memory": True}
    except (av.error.FFmpegError, OSError, ValueError) as error:
        return {"error": str(error).replace(path, "the file")}
