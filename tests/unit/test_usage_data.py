"""No library reports on who uses it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.service import ROOT

PROGRAM = """
import numpy as np
from transcription.core.options import VadOptions
from transcription.media.voice_stream import listen_with_silero
listen_with_silero(np.zeros(16_000, np.int16), VadOptions())
"""


def test_onnxruntime_prepares_no_usage_data(tmp_path: Path) -> None:
    """It would leave its session in the temporary folder, and an identifier in the user's cache."""
    folders = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR"), str(tmp_path))
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", PROGRAM], env={**environment, **folders, "PYTHONPATH": str(ROOT)}, check=True)
    assert list(tmp_path.rglob("*")) == []
