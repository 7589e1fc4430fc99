"""Recordings of people in tests/data/speech/, and what can be made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.media_files import run_ffmpeg
from tests.support.service import ROOT

SPEECH = ROOT / "tests" / "data" / "speech"
ALWAYS, SIGNS, ACCOUNT = (
    SPEECH / name for name in ("1462-170142-0014.mp3", "2412-153954-0011.mp3", "1688-142285-0003.flac")
)
SIGNS_TEXT = "I expressed by signs my admiration and pleasure to my guides, and they were greatly pleased."
Hear = Callable[..., dict[str, Any]]  # the fixture `hear` of tests/weights


def joined(target: Path, *clips: Path, pause: float = 2.0) -> Path:
    """The clips one after the other, 16 kHz mono. pause: seconds of silence after each."""
    inputs = [argument for clip in clips for argument in ("-i", str(clip))]
    parts = "".join(f"[{index}]aresample=16000,apad=pad_dur={pause}[c{index}];" for index in range(len(clips)))
    names = "".join(f"[c{index}]" for index in range(len(clips)))
    run_ffmpeg(*inputs, "-filter_complex", f"{parts}{names}concat=n={len(clips)}:v=0:a=1", "-ac", "1", str(target))
    return target
