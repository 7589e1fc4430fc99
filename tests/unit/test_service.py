"""service.py composes the services: it is short, and importing it does nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 100
# Imports the service and reports what the import left behind.
IMPORT = """
import json, sys, threading
from multiprocessing import active_children
import service
print(json.dumps({
    "threads": [thread.name for thread in threading.enumerate()],
    "children": len(active_children()),
    "api": "transcription.api.app" in sys.modules,
    "services": [service.TranscriptionService.name, service.whisper_runner.name],
}))
"""


def test_the_file_has_at_most_100_lines() -> None:
    assert len((ROOT / "service.py").read_text().splitlines()) <= MAX_LINES


def test_importing_it_declares_both_services_without_importing_the_api_or_starting_anything(tmp_path: Path) -> None:
    folders = {"TEMP_DIR": tmp_path / "temp", "JOBS_DIR": tmp_path / "jobs", "CACHE_DIR": tmp_path / "cache"}
    environment = {**os.environ, **{name: str(path) for name, path in folders.items()}}
    command = [sys.executable, "-c", IMPORT]
    output = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert json.loads(output.splitlines()[-1]) == {
        "threads": ["MainThread"],
        "children": 0,
        "api": False,
        "services": ["transcription", "whisper_runner"],
    }
    assert list(tmp_path.iterdir()) == []
