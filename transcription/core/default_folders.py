"""Where files are by default: what is embedded, and a user's, according to the XDG base directory specification."""

from __future__ import annotations

import os
from pathlib import Path

EMBEDDED_MODEL_DIR = Path(__file__).resolve().parents[2] / "models"
NAME = "transcription-service"


def default_cache() -> Path:
    """The service's folder in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / NAME


def default_jobs() -> Path:
    """The folder for jobs in the user's data."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / NAME / "jobs"
