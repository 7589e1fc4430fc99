"""Mounted applications and middlewares are made once, by the process that reads them."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.service import ROOT
from transcription.bentoml_patches.deferred import Deferred

# What takes most of the time to import and is needed only where requests are served.
API_ONLY = ("transcription.api.app", "transcription.api.lifecycle", "fastapi", "redis")


def test_items_are_made_once_at_the_first_iteration() -> None:
    made = []

    def make() -> list[int]:
        made.append(True)
        return [1, 2]

    items = Deferred(make)
    assert made == []
    assert list(items) == [1, 2]
    assert list(items) == [1, 2]
    assert made == [True]


def test_the_services_are_declared_without_importing_the_api() -> None:
    listing = f"import json, sys, service; print(json.dumps([name for name in {API_ONLY} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
