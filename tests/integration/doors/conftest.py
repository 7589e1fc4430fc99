"""Sessions at the four doors of the running service, after which its log has no error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.support.clips import SpokenClip
from tests.support.live_doors import Door, opened
from tests.support.pcm import as_pcm
from tests.support.service import LocalService
from tests.support.waiting import wait_until
from transcription.core.audio import SAMPLE_RATE

FAULT = re.compile(r'Traceback|"level": ?"(ERROR|CRITICAL)"')

Enter = Callable[[str], AbstractContextManager[Door]]


@pytest.fixture(scope="module")
def enter(service: LocalService, wyoming_port: int) -> Enter:
    """Opens a session at a door."""
    assert wait_until(lambda: '"wyoming_listens"' in service.log.read_text())
    return lambda door: opened(door, service, wyoming_port)


@pytest.fixture(scope="module")
def speech(spoken_clip: SpokenClip) -> bytes:
    """The clip at 16 kHz."""
    return as_pcm(spoken_clip.path, SAMPLE_RATE)


@pytest.fixture(autouse=True)
def the_log_has_no_error(service: LocalService) -> Iterator[None]:
    before = service.log.stat().st_size
    yield
    with service.log.open("rb") as log:
        log.seek(before)
        new = log.read().decode()
    assert not FAULT.search(new), new
