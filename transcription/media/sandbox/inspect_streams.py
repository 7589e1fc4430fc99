"""Describes a file's streams with PyAV. Runs only in a confined child of the launcher."""

from __future__ import annotations

from typing import Any

import av
import av.subtitles.stream  # otherwise PyAV imports it in each child, once the file is open
from av.container import InputContainer

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


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return str(context.name) if context is not None else ""


def _sound(stream: Any) -> dict[str, int]:
    """Sample rate (Hz) and channels of an audio stream, as stated by the file; 0 if unknown."""
    context = stream.codec_context
    if stream.type != "audio" or context is None:
        return {}
    return {"rate": context.sample_rate, "channels": context.channels}


def describe(path: str, demuxer: str) -> dict[str, Any]:
    """The result of `inspect`, or {"error": reason}."""
    try:
        return inspect(path, demuxer)
    except (OSError, ValueError) as error:
        return {"error": str(error).replace(path, "the file")}
