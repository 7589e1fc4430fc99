"""What PyAV finds in a file. Runs in a confined child of the launcher, nowhere else."""

from __future__ import annotations

from typing import Any

import av
import av.subtitles.stream  # PyAV would import it when a file is open already, in every child again
from av.container import InputContainer


def inspect(path: str, demuxer: str) -> dict[str, Any]:
    """Streams and duration of a file, opened as `demuxer` and nothing else.

    Raises av.error.FFmpegError and OSError.
    """
    # Only this file: a container that refers to another one reads nothing.
    with av.open(f"file:{path}", format=demuxer, options={"protocol_whitelist": "file"}) as container:
        assert isinstance(container, InputContainer)
        return {
            "format": container.format.name,
            "duration": _duration(container),
            "streams": [
                {"index": stream.index, "type": stream.type, "codec": _codec(stream)} for stream in container.streams
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


def describe(path: str, demuxer: str) -> dict[str, Any]:
    """What `inspect` finds, or {"error": reason}."""
    try:
        return inspect(path, demuxer)
    except (OSError, ValueError) as error:
        return {"error": str(error).replace(path, "the file")}
