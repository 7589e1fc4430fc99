"""The engine on the embedded checkpoint."""

from __future__ import annotations

import pytest

from runners.decode.engine import Engine
from runners.decode.model import open_model
from runners.placement import DeviceLayout, Placement
from transcription.core.default_folders import EMBEDDED_MODEL_DIR


@pytest.fixture(scope="session")
def demo_engine() -> Engine:
    layout = DeviceLayout(slots=1, threads=1, batch=4)
    return Engine(open_model("demo", EMBEDDED_MODEL_DIR / "demo", Placement("cpu", "int8"), layout))
