"""The backlog of a runner as one client knows it."""

from __future__ import annotations

from runners.pool.backlog import Backlog


def test_windows_on_the_way_lengthen_the_backlog_until_the_runner_counts_them():
    backlog = Backlog()
    backlog.heard(1.0, window_seconds=0.5)
    backlog.sent()
    backlog.sent()
    assert backlog.seconds == 2.0

    backlog.arrived(1.5)  # the second one is still on the way
    assert backlog.seconds == 2.0
    backlog.arrived(2.0)
    assert backlog.seconds == 2.0


def test_a_state_does_not_count_a_window_that_was_sent_a_moment_ago():
    backlog = Backlog()
    backlog.sent()
    backlog.heard(1.0, window_seconds=0.5)

    assert backlog.seconds == 1.5


def test_a_window_that_does_not_arrive_is_not_counted():
    backlog = Backlog()
    backlog.heard(1.0, window_seconds=0.5)
    backlog.sent()
    backlog.lost()

    assert backlog.seconds == 1.0
