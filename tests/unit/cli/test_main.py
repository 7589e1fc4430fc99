"""How the program begins and ends."""

from __future__ import annotations

import sys

import pytest

from transcription.cli.__main__ import start


class Interrupted:
    """A module whose import takes so long that Ctrl-C is pressed."""

    def __getattr__(self, name: str) -> object:
        raise KeyboardInterrupt


def test_ctrl_c_while_it_starts_ends_it_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transcription.cli.main", Interrupted())  # type: ignore[arg-type]
    with pytest.raises(SystemExit) as end:
        start()
    assert end.value.code == 130
