"""How OpenMP waits in each process that decodes, as libgomp itself says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def spin_count(module: str, **environment: str) -> str:
    """libgomp's GOMP_SPINCOUNT in a process that imports the module."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    said = subprocess.run(
        [sys.executable, "-c", f"import {module}, ctranslate2"],
        cwd=ROOT,
        env={**inherited, **environment, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    lines = [line for line in said.splitlines() if "GOMP_SPINCOUNT" in line]
    if not lines:
        pytest.skip("CTranslate2 was built with another OpenMP")
    return lines[0].partition("=")[2].strip(" '")


@pytest.mark.parametrize("module", ["runners.host", "service", "transcription.cli.local"])
def test_threads_of_the_model_do_not_spin(module: str) -> None:
    assert spin_count(module) == "0"


def test_the_operator_may_let_them_spin() -> None:
    assert spin_count("runners.host", GOMP_SPINCOUNT="300000") == "300000"


def test_the_peers_of_the_benchmark_have_their_own_default() -> None:
    assert spin_count("benchmarks.peers") == spin_count("ctranslate2")
