"""What the command prints about recordings, whatever their names are."""

from __future__ import annotations

import pytest
from rich.console import Console

from transcription.cli import screen
from transcription.cli.screen import Screen


def test_control_characters_in_a_name_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(quiet=False, verbose=True).complain("two\nlines\x1b[31m.mp3", "cannot be read\nat all")
    assert capsys.readouterr().err == "two\\nlines\\x1b[31m.mp3: cannot be read at all\n"


def test_brackets_in_a_name_are_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(force_terminal=True, width=120, record=True)
    monkeypatch.setattr(screen, "Console", lambda **_: terminal)
    with Screen(quiet=False, verbose=True).progress("[red]talk.mp3") as (report, _):
        report("transcribing", 0.5)
    assert "[red]talk.mp3" in terminal.export_text()
