"""The programs in docs/clients/ and in the README work unchanged, from the root of the checkout."""

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
README = ROOT / "README.md"
SAID = "the meeting starts at ten on monday"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def run(command: list[str], source: str, service: LocalService, folder: Path, ending: str) -> str:
    """Standard output of a block, run against this service instead of localhost:3000."""
    program = folder / f"program{ending}"
    program.write_text(source.replace("localhost:3000", service.url.removeprefix("http://")), encoding="utf-8")
    done = subprocess.run([*command, program], cwd=ROOT, capture_output=True, text=True, timeout=90, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


CURL = blocks(CLIENTS / "curl.md", "bash")
PYTHON = [*blocks(CLIENTS / "python.md", "python"), *blocks(README, "python")]


@pytest.mark.parametrize("number", range(len(CURL)))
def test_the_curl_commands_print_the_documented_output(service: LocalService, tmp_path: Path, number: int) -> None:
    printed = run(["bash", "-eu", "-o", "pipefail"], CURL[number], service, tmp_path, ".sh")
    expected = (SAID, "the meeting starts\nat ten on monday", "event: completed", '"language_code":"de"')
    assert expected[number] in printed


def test_the_curl_command_of_the_readme_prints_subtitles(service: LocalService, tmp_path: Path) -> None:
    [command] = [block for block in blocks(README, "bash") if block.startswith("curl ")]
    printed = run(["bash", "-eu", "-o", "pipefail"], command, service, tmp_path, ".sh")
    assert " --> " in printed
    assert SAID in printed


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_the_python_programs_print_the_transcript(service: LocalService, tmp_path: Path, number: int) -> None:
    assert SAID in run([sys.executable], PYTHON[number], service, tmp_path, ".py")


def test_the_javascript_program_prints_the_transcript_and_its_subtitles(service: LocalService, tmp_path: Path) -> None:
    node = shutil.which("node")
    if not node:
        pytest.skip("needs Node 20 or newer, which the project does not install")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"needs Node 20 or newer, not {version.strip()}")
    [source] = blocks(CLIENTS / "javascript.md", "javascript")
    printed = run([node], source, service, tmp_path, ".mjs")
    assert f" {SAID}" in printed
    assert " --> " in printed
