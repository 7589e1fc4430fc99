"""Recordings as raw samples."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg


def as_pcm(path: Path, rate: int, encoding: str = "s16le") -> bytes:
    """A recording as mono samples. rate: Hz. encoding: s16le, mulaw or alaw."""
    output = ("-ac", "1", "-ar", str(rate), "-f", encoding, "-")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, *output]
    return subprocess.run(command, capture_output=True, check=True).stdout
