"""The programs in the documents work as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.clips import ACCEPTABLE_LOSS, SpokenClip, words_missing
from tests.support.service import ROOT, LocalService

PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "JOBS.md").read_text(encoding="utf-8"), re.DOTALL)


def test_there_are_two() -> None:
    assert len(PROGRAMS) == 2


def test_openais_client_says_what_is_said(service: LocalService, spoken_clip: SpokenClip, tmp_path: Path) -> None:
    document = (ROOT / "docs" / "COMPATIBILITY.md").read_text(encoding="utf-8")
    [source] = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    program = tmp_path / "program.py"
    program.write_text(source.replace("http://localhost:3000", service.url), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=90
    )
    first, *_, last = done.stdout.splitlines()
    assert first
    assert f"text={first!r}" in last


@pytest.mark.parametrize("number", range(2))
def test_a_program_prints_what_is_said(
    service: LocalService, spoken_clip: SpokenClip, tmp_path: Path, number: int
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAMS[number], encoding="utf-8")
    command = [sys.executable, str(program), service.url, str(spoken_clip.path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90).stdout
    said = " ".join(line for line in printed.splitlines() if not re.match(r"\d+$|[\d:,]+ --> ", line))
    assert words_missing(spoken_clip.text, said) <= ACCEPTABLE_LOSS
