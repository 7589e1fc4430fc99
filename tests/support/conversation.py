"""Two people who speak in turn, and the first part of it, for tests that need no more than both voices."""

from __future__ import annotations

from pathlib import Path

from tests.support.media_files import run_ffmpeg
from tests.support.service import ROOT

CONVERSATION = ROOT / "tests" / "data" / "diarization" / "two-speakers.ogg"
CONVERSATION_SECONDS = 35
SHORT_SECONDS = 20  # both speak twice; half of the work of the whole


def short_conversation(folder: Path) -> Path:
    """The first 20 s, in the folder."""
    path = folder / CONVERSATION.name
    run_ffmpeg("-i", str(CONVERSATION), "-t", str(SHORT_SECONDS), "-c", "copy", str(path))
    return path
