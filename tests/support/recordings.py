"""Recordings for the real service, each made once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.media_files import convert, run_ffmpeg, silent_movie
from tests.support.service import ROOT

SENTENCES = [ROOT / "samples" / name for name in ("en-meeting.mp3", "en-day.m4a")]

# Limits of the service that the integration tests share.
MAX_FILE_SIZE = 2_000_000  # bytes, small so that a file above it is quick to send
MAX_DURATION = 600  # seconds


class Recordings:
    """speech: a clean recording that everything is made from. folder: where they go."""

    def __init__(self, speech: Path, folder: Path) -> None:
        self._speech = speech
        self._folder = folder

    def spoken(self, extension: str) -> Path:
        """The speech in one format, with a black picture in those for video."""
        return self._once(f"spoken.{extension}", lambda path: convert(self._speech, path))

    def speech(self, name: str, seconds: float) -> Path:
        """The speech over and over, in the format of the name.

        The model doubts a sentence that it has just heard, and decodes it again: three times the work of a talk.
        """
        return self._once(Path(f"speech-{seconds}", name), lambda path: self._repeat(self._speech, seconds, path))

    def talk(self, name: str, seconds: float) -> Path:
        """Several English sentences over and over, in the format of the name."""
        once = self._once("talk.mp3", self._say_all)
        return self._once(Path(f"talk-{seconds}", name), lambda path: self._repeat(once, seconds, path))

    def silence(self, name: str, seconds: float) -> Path:
        """Digital silence."""
        source = ("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", str(seconds))
        return self._once(Path(f"silence-{seconds}", name), lambda path: run_ffmpeg(*source, str(path)))

    def picture_only(self, name: str) -> Path:
        """A video without sound."""
        return self._once(name, silent_movie)

    def bytes_of(self, name: str, content: bytes) -> Path:
        """Any bytes under any name."""
        path = self._folder / name
        path.write_bytes(content)
        return path

    def _say_all(self, path: Path) -> None:
        inputs = [part for sentence in SENTENCES for part in ("-i", str(sentence))]
        joined = f"concat=n={len(SENTENCES)}:v=0:a=1"
        run_ffmpeg(*inputs, "-filter_complex", joined, "-ac", "1", "-ar", "16000", str(path))

    def _repeat(self, source: Path, seconds: float, path: Path) -> None:
        # MP3 is costly to encode: 2 s of the CPU for ten minutes.
        codec = ("-c", "copy") if path.suffix == source.suffix else ("-ac", "1", "-ar", "16000")
        run_ffmpeg("-stream_loop", "-1", "-i", str(source), "-t", str(seconds), *codec, str(path))

    def _once(self, name: str | Path, make: Callable[[Path], object]) -> Path:
        path = self._folder / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            make(path)
        return path
