"""Windows that were on the device when an earlier runner died."""

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

from runners.batching.quarantine import QUARANTINE_SECONDS, Journal, Quarantine, Verdict, fingerprint
from runners.decode.engine import WindowTask
from tests.support.clock import Clock
from tests.support.service import ROOT
from transcription.core.options import DecodeOptions

NOW = 1_000_000.0


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


def test_after_one_death_a_window_runs_alone_and_after_two_it_is_refused() -> None:
    quarantine = Quarantine()

    assert quarantine.verdict("a", NOW) is Verdict.CLEAR
    quarantine.record_death(["a"], NOW)
    assert quarantine.verdict("a", NOW) is Verdict.ALONE
    quarantine.record_death(["a", "b"], NOW)
    assert quarantine.verdict("a", NOW) is Verdict.REFUSED
    assert quarantine.verdict("b", NOW) is Verdict.ALONE


def test_a_death_counts_once_for_windows_of_the_same_audio() -> None:
    quarantine = Quarantine()
    quarantine.record_death(["a", "a"], NOW)

    assert quarantine.verdict("a", NOW) is Verdict.ALONE


def test_a_death_counts_for_an_hour() -> None:
    quarantine = Quarantine()
    quarantine.record_death(["a"], NOW)
    quarantine.record_death(["a"], NOW + 1)

    assert quarantine.verdict("a", NOW + QUARANTINE_SECONDS) is Verdict.ALONE
    assert quarantine.verdict("a", NOW + 1 + QUARANTINE_SECONDS) is Verdict.CLEAR


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3 * QUARANTINE_SECONDS)), max_size=20))
def test_forgetting_old_deaths_changes_no_verdict(deaths: list[tuple[str, float]]) -> None:
    quarantine = Quarantine()
    for name, time in deaths:
        quarantine.record_death([name], time)
    now = 2 * QUARANTINE_SECONDS
    before = [quarantine.verdict(name, now) for name in "abc"]

    quarantine.forget_old(now)

    assert [quarantine.verdict(name, now) for name in "abc"] == before


def test_windows_on_the_device_of_a_killed_process_run_alone_in_the_next(tmp_path: Path) -> None:
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


def test_windows_of_a_living_process_are_not_quarantined(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.begin(1, ["a"])

    second = Journal(tmp_path)

    assert second.verdict("a") is Verdict.CLEAR
    first.close()
    second.close()


def test_windows_of_a_process_that_ends_in_order_are_not_quarantined(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(1, ["a"])
    journal.close()

    journal.end(1)  # a batch may outlive the orderly end

    assert Journal(tmp_path).verdict("a") is Verdict.CLEAR


def test_old_deaths_are_deleted(tmp_path: Path) -> None:
    clock = Clock(NOW)
    (tmp_path / "1.running").write_text('["a"]')
    Journal(tmp_path, clock).close()
    clock.now += QUARANTINE_SECONDS

    Journal(tmp_path, clock).close()

    assert (tmp_path / "suspects.json").read_text() == "{}"


def test_a_truncated_journal_does_not_prevent_the_start(tmp_path: Path) -> None:
    (tmp_path / "1.running").write_text('["a')
    (tmp_path / "suspects.json").write_text("{")

    assert Journal(tmp_path).verdict("a") is Verdict.CLEAR


def test_a_fingerprint_tells_samples_and_options_apart() -> None:
    def window(sample: int, **options: object) -> WindowTask:
        return WindowTask(np.full(10, sample, np.int16), DecodeOptions(model="demo", **options))  # type: ignore[arg-type]

    assert fingerprint(window(1)) == fingerprint(window(1))
    assert len({fingerprint(window(1)), fingerprint(window(2)), fingerprint(window(1, beam_size=1))}) == 3
