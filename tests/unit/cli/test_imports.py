"""The command imports late what takes long to import: with a server, and for its help, it needs none of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.service import ROOT

# What takes most of the time to import: arrays and models, the settings of the service, and what receives uploads.
OF_THE_SERVICE = ("numpy", "ctranslate2", "onnxruntime", "av", "bentoml", "pydantic", "python_multipart")
LISTED = f"import json, sys; print(json.dumps([name for name in {OF_THE_SERVICE} if name in sys.modules]))"


def imported(*modules: str) -> list[str]:
    """Those of OF_THE_SERVICE that a process has which imported these modules."""
    program = "".join(f"import {module}\n" for module in modules) + LISTED
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("also", [(), ("transcription.cli.watch",), ("transcription.cli.live_remote",)], ids=str)
def test_with_a_server_nothing_of_the_service_is_imported(also: tuple[str, ...]) -> None:
    assert imported("transcription.cli.main", *also) == []


def test_without_a_server_what_decodes_is_imported() -> None:
    assert {"numpy", "ctranslate2", "pydantic"} <= set(imported("transcription.cli.local"))
