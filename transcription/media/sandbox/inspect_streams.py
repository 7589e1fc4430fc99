"""What PyAV finds in a file. Runs in a confined child of the launcher, nowhere else."""

from __future__ import annotations

from typing import Any

import av
import av.subtitles.stream  # PyAV would import it when a file is open already, in every child again
from av.container import InputContainer

from transcription.media.intake import containers


def inspect(path: str, demuxer: str) -> dict[str, Any]:
    """Streams and duration of a file, opened as `demuxer` and nothing else.

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
    """What the file claims of an audio stream; 0 is unknown."""
    context = stream.codec_context
    if stream.type != "audio" or context is None:
        return {}
    return {"rate": context.sample_rate, "channels": context.channels}


def describe(path: str, demuxer: str) -> dict[str, Any]:
    """What `inspect` finds, or {"error": reason}."""
    try:
        return inspect(path, demuxer)
    except (OSError, ValueError) as error:
        return {"error": str(error).replace(path, "the file")}
