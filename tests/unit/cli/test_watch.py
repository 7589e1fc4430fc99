"""When a file in a watched folder is complete, and when it is transcribed."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcription.cli.watch import Progress, State

TALK = Path("talk.mp3")
SHORT, LONG = State(10, 1), State(20, 2)


@pytest.fixture
def progress() -> Progress:
    return Progress(settle=3.0)


def test_a_file_is_due_when_it_has_not_changed_for_a_while(progress: Progress) -> None:
    progress.observe({TALK: SHORT}, now=0.0)
    assert progress.due(now=2.9) == []
    assert progress.due(now=3.0) == [TALK]


def test_a_file_that_is_still_written_is_waited_for(progress: Progress) -> None:
    progress.observe({TALK: SHORT}, now=0.0)
    progress.observe({TALK: LONG}, now=2.0)
    assert progress.due(now=4.0) == []
    assert progress.is_settling()
    progress.observe({TALK: LONG}, now=5.0)
    assert progress.due(now=5.0) == [TALK]


def test_a_finished_file_is_due_again_only_after_a_change(progress: Progress) -> None:
    progress.observe({TALK: SHORT}, now=0.0)
    progress.finish(TALK)
    assert not progress.is_settling()
    progress.observe({TALK: SHORT}, now=10.0)
    assert progress.due(now=20.0) == []
    progress.observe({TALK: LONG}, now=20.0)
    assert progress.due(now=23.0) == [TALK]


def test_a_file_that_is_gone_is_forgotten(progress: Progress) -> None:
    progress.observe({TALK: SHORT}, now=0.0)
    progress.finish(TALK)
    progress.observe({}, now=1.0)
    progress.observe({TALK: SHORT}, now=2.0)
    assert progress.due(now=5.0) == [TALK]
