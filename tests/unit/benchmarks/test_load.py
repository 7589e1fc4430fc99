"""Clients send the clips in turn and never more than their number at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from benchmarks.clips import Clip
from benchmarks.load import run_load, run_mix

CLIPS = [Clip(Path(name), 3.0) for name in "abc"]
LONG = Clip(Path("long"), 600.0)


class Recorder:
    """A contender that notes what it is sent. A long clip takes `longest` seconds, or until it is stopped.

    stopped: the last long clip was.
    """

    def __init__(self, seconds: float = 0.0, longest: float = 10.0) -> None:
        self.sent: list[str] = []
        self.running = self.most = self.long = 0
        self.stopped = False
        self._seconds, self._longest, self._lock = seconds, longest, threading.Lock()

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        if clip == LONG:
            self.long += 1
            self.stopped = stop.wait(self._longest)
            return ""
        with self._lock:
            self.sent.append(clip.path.name)
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(self._seconds)
        with self._lock:
            self.running -= 1
        return ""

    def cpu_seconds(self) -> float:
        return 2.0 * len(self.sent)


def test_each_request_takes_the_next_clip() -> None:
    contender = Recorder()
    load = run_load(contender, CLIPS, 5, clients=1, requests=5)
    assert contender.sent == ["a", "b", "c", "a", "b"]
    assert len(load.latencies) == 5
    assert load.cpu == pytest.approx(10.0)


def test_there_are_as_many_requests_at_once_as_clients() -> None:
    contender = Recorder(seconds=0.05)
    run_load(contender, CLIPS, 5, clients=2, requests=6)
    assert contender.most == 2
    assert sorted(contender.sent) == ["a", "a", "b", "b", "c", "c"]


def test_short_clips_are_sent_while_a_long_one_runs() -> None:
    contender = Recorder()
    assert len(run_mix(contender, LONG, CLIPS, 5, requests=4)) == 4
    assert contender.sent == ["a", "b", "c", "a"]
    assert contender.long == 1
    assert contender.stopped


def test_a_long_clip_that_ends_before_the_short_ones_are_sent_is_sent_again() -> None:
    contender = Recorder(longest=0.1)
    assert len(run_mix(contender, LONG, CLIPS, 5, requests=4)) == 4
    assert contender.long > 1
