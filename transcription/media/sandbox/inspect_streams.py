"""Describes a file's streams with PyAV. Runs only in a confined child of the launcher."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import av.subtitles.stream  # otherwise PyAV imports it in each child, once the file is open
from av.container import InputContainer

from transcription.media.completeness import breaks_off
from transcription.media.intake import containers


def inspect(path: str, demuxer: str) -> dict[str, Any]:
    """Streams and duration (seconds) of a file, opened with `demuxer` only.

    Raises av.error.FFmpegError and OSError.
    """
    with av.open(f"file:{path}", format=demuxer, options=containers.open_options(demuxer)) as container:
        assert isinstance(container, InputContainer)
        return {
            "format": container.format.name,
            "duration": _duration(container),
            "breaks_off": _breaks_off(path, demuxer),
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


def _breaks_off(path: str, demuxer: str) -> bool:
    with Path(path).open("rb") as file:
        return breaks_off(file, file.seek(0, os.SEEK_END), demuxer)


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return str(context.name) if context is not None else ""


def _sound(stream: Any) -> dict[str, Any]:
    """Sample rate (Hz), channels and duration (seconds) of an audio stream, as stated by the file.

    A rate or number of 0 is unknown, a duration of None as well.
    """
    context = stream.codec_context
    if stream.type != "audio" or context is None:
        return {}
    stated = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
    return {"rate": context.sample_rate, "channels": context.channels, "duration": stated}


def describe(path: str, demuxer: str) -> dict[str, Any]:
    """The result of `inspect`, or {"error": reason}; with "no_memory" if an allocation failed."""
    try:
        return inspect(path, demuxer)
    except MemoryError as error:
        return {"error": str(error).replace(path, "the file"), "no_memory": True}
    except (OSError, ValueError) as error:
        return {"error": str(error).replace(path, "the file")}
