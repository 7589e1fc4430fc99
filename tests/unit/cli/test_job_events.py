"""The events of a job, as the command reads them."""

from __future__ import annotations

from transcription.cli.job_events import events_in

STREAM = """: the job's events
retry: 2000

event: progress
data: {"status": "queued"}

: ping

event: segment
id: 0.1
data: {"start": 0.5,
data: "text": "a: b"}

event: completed
data: {"cut":
"""


def test_events_have_their_name_and_their_data() -> None:
    events = [event for event in events_in(STREAM.splitlines()) if event[0]]
    assert events == [("progress", {"status": "queued"}), ("segment", {"start": 0.5, "text": "a: b"})]


def test_a_comment_shows_that_the_server_is_there() -> None:
    assert list(events_in([": ping", ""])) == [("", {})]
