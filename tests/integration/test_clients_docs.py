"""What docs/clients/ shows works as it stands, from the root of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT, LocalService

CLIENTS = ROOT / "docs" / "clients"
SAID = "the meeting starts at ten on monday"


def blocks(page: str, language: str) -> list[str]:
    text = (CLIENTS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(command: list[str], source: str, service: LocalService, folder: Path, ending: str) -> str:
    """Standard output of a block, with the address of the service in place of the one in the page."""
    program = folder / f"program{ending}"
    program.write_text(source.replace("localhost:3000", service.url.removeprefix("http://")), encoding="utf-8")
    done = subprocess.run([*command, program], cwd=ROOT, capture_output=True, text=True, timeout=90, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


CURL = blocks("curl.md", "bash")
PYTHON = blocks("python.md", "python")


@pytest.mark.parametrize("number", range(len(CURL)))
def test_curl(service: LocalService, tmp_path: Path, number: int) -> None:
    printed = run(["bash", "-eu", "-o", "pipefail"], CURL[number], service, tmp_path, ".sh")
    expected = (SAID, "the meeting starts\nat ten on monday", "event: completed", '"language_code":"de"')
    assert expected[number] in printed


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python(service: LocalService, tmp_path: Path, number: int) -> None:
    assert SAID in run([sys.executable], PYTHON[number], service, tmp_path, ".py")


def test_javascript(service: LocalService, tmp_path: Path) -> None:
    node = shutil.which("node")
    if not node:
        pytest.skip("needs node 20 or newer, which is no part of the project")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"needs node 20 or newer, not {version.strip()}")
    [source] = blocks("javascript.md", "javascript")
    printed = run([node], source, service, tmp_path, ".mjs")
    assert f" {SAID}" in printed
    assert " --> " in printed
