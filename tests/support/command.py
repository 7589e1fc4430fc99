"""Runs the command `transcribe` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.service import ROOT

COMMAND = [sys.executable, "-m", "transcription.cli"]
Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


def environment(folder: Path) -> dict[str, str]:
    ours = {"WHISPER_MODEL": "demo", "TEMP_DIR": str(folder / "uploads"), "CACHE_DIR": str(folder / "cache")}
    return {**os.environ, **ours, "PYTHONPATH": str(ROOT), "BENTOML_DO_NOT_TRACK": "True"}
