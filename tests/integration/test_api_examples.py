"""The programs in docs/API.md work as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.local_service import ROOT, LocalService
from tests.integration.conftest import SpokenClip
from tests.integration.test_transcribe import ACCEPTABLE_LOSS, words_missing

PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "API.md").read_text(encoding="utf-8"), re.DOTALL)


def test_there_are_two() -> None:
    assert len(PROGRAMS) == 2


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
