"""What a runner remembers of the deaths before it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runners.batching.quarantine import SUSPECT_SECONDS, Journal, Suspects, Verdict, fingerprint
from runners.decode.engine import WindowTask
from tests.support.service import ROOT
from transcription.core.options import DecodeOptions

NOW = 1_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def a_dead_runner(folder: Path, *fingerprints: str) -> None:
    """A real process that writes into the journal and is killed."""
    program = f"""
        import pathlib, sys, time
        from runners.batching.quarantine import Journal
        journal = Journal(pathlib.Path(sys.argv[1]))
        journal.begin(1, {list(fingerprints)!r})
        journal.begin(2, ["over"])
        journal.end(2)
        print("running", flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as runner:
        assert runner.stdout and runner.stdout.readline() == "running\n"
        os.kill(runner.pid, signal.SIGKILL)


def test_one_death_makes_a_suspect_and_two_are_enough() -> None:
    suspects = Suspects()

    assert suspects.verdict("a", NOW) is Verdict.CLEAR
    suspects.accuse(["a"], NOW)
    assert suspects.verdict("a", NOW) is Verdict.ALONE
    suspects.accuse(["a", "b"], NOW)
    assert suspects.verdict("a", NOW) is Verdict.REFUSED
    assert suspects.verdict("b", NOW) is Verdict.ALONE


def test_a_death_is_forgiven_after_an_hour() -> None:
    suspects = Suspects()
    suspects.accuse(["a"], NOW)
    suspects.accuse(["a"], NOW + 1)

    assert suspects.verdict("a", NOW + SUSPECT_SECONDS) is Verdict.ALONE
    assert suspects.verdict("a", NOW + 1 + SUSPECT_SECONDS) is Verdict.CLEAR


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3 * SUSPECT_SECONDS)), max_size=20))
def test_forgetting_what_is_old_changes_no_verdict(deaths: list[tuple[str, float]]) -> None:
    suspects = Suspects()
    for name, time in deaths:
        suspects.accuse([name], time)
    now = 2 * SUSPECT_SECONDS
    before = [suspects.verdict(name, now) for name in "abc"]

    suspects.forget_old(now)

    assert [suspects.verdict(name, now) for name in "abc"] == before


def test_what_a_killed_process_had_on_its_device_is_suspect_to_the_next(tmp_path: Path) -> None:
    a_dead_runner(tmp_path, "a", "b")

    journal = Journal(tmp_path)

    assert journal.verdict("a") is Verdict.ALONE
    assert journal.verdict("b") is Verdict.ALONE
    assert journal.verdict("over") is Verdict.CLEAR
    journal.close()


def test_deaths_add_up_over_processes(tmp_path: Path) -> None:
    a_dead_runner(tmp_path, "a")
    a_dead_runner(tmp_path, "a", "b")

    journal = Journal(tmp_path)

    assert journal.verdict("a") is Verdict.REFUSED
    assert journal.verdict("b") is Verdict.ALONE
    journal.close()


def test_what_a_living_process_works_on_is_no_death(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.begin(1, ["a"])

    second = Journal(tmp_path)

    assert second.verdict("a") is Verdict.CLEAR
    first.close()
    second.close()


def test_an_orderly_end_blames_nobody(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(1, ["a"])
    journal.close()

    journal.end(1)  # a batch may outlive the orderly end

    assert Journal(tmp_path).verdict("a") is Verdict.CLEAR


def test_an_old_death_is_not_kept(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "1.running").write_text('["a"]')
    Journal(tmp_path, clock).close()
    clock.now += SUSPECT_SECONDS

    Journal(tmp_path, clock).close()

    assert (tmp_path / "suspects.json").read_text() == "{}"


def test_a_journal_that_was_cut_off_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "1.running").write_text('["a')
    (tmp_path / "suspects.json").write_text("{")

    assert Journal(tmp_path).verdict("a") is Verdict.CLEAR


def test_a_fingerprint_tells_samples_and_options_apart() -> None:
    def window(sample: int, **options: object) -> WindowTask:
        return WindowTask(np.full(10, sample, np.int16), DecodeOptions(model="demo", **options))  # type: ignore[arg-type]

    assert fingerprint(window(1)) == fingerprint(window(1))
    assert len({fingerprint(window(1)), fingerprint(window(2)), fingerprint(window(1, beam_size=1))}) == 3
