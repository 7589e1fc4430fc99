"""The progress of a job, and the estimate of its end."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.options import DecodeOptions, TranscriptionRequest, VadOptions
from transcription.jobs.estimate import progress_of, seconds_left
from transcription.jobs.job import Ahead, Job, JobSnapshot, JobStatus, Recording

JOB = Job(
    id="a",
    number=1,
    work="w",
    status=JobStatus.PROCESSING,
    request=TranscriptionRequest(DecodeOptions("demo"), VadOptions()),
    recording=Recording("a", "0" * 64, 1),
    response_format="json",
    created_at=0.0,
    seconds_total=100.0,
)
NOTHING = Ahead(0, 0.0, 0)


@given(st.floats(0, 1e6), st.floats(0.1, 1e6))
def test_progress_is_the_share_of_finished_audio_and_below_100_before_the_end(done, total):
    progress = progress_of(replace(JOB, seconds_done=done, seconds_total=total))
    assert 0 <= progress <= 99
    assert progress <= 100 * done / total


def test_a_completed_job_is_at_100():
    assert progress_of(replace(JOB, status=JobStatus.COMPLETED)) == 100


def test_the_progress_of_a_recording_of_unknown_duration_is_0():
    assert progress_of(replace(JOB, seconds_done=5.0, seconds_total=None)) == 0


def left(job, ahead=NOTHING, speed=None, at_once=1, now=0.0):
    return seconds_left(JobSnapshot(job, ahead, speed), at_once, now)


def test_the_remaining_audio_advances_at_the_measured_speed():
    assert left(replace(JOB, seconds_done=40.0), speed=6.0, at_once=4) == pytest.approx(10)


def test_the_queue_ahead_advances_at_the_speed_of_all_concurrent_jobs():
    queued = replace(JOB, status=JobStatus.QUEUED)
    ahead = Ahead(jobs=3, seconds=200.0, unknown=1)  # the unknown one counts as long as this job
    assert left(queued, ahead, speed=5.0, at_once=4) == pytest.approx(100 / 5 + 300 / 20)
    assert left(JOB, ahead, speed=5.0, at_once=4) == pytest.approx(100 / 5)  # a processing job no longer waits


def test_jobs_that_other_processes_work_on_advance_the_queue_too():
    queued = replace(JOB, status=JobStatus.QUEUED)
    snapshot = JobSnapshot(queued, Ahead(jobs=3, seconds=300.0, unknown=0), speed=5.0, processing=10)
    assert seconds_left(snapshot, at_once=4, now=0.0) == pytest.approx(100 / 5 + 300 / 50)


def test_without_a_measured_speed_the_speed_of_the_job_itself_is_used():
    assert left(replace(JOB, started_at=1000.0, seconds_done=20.0), now=1010.0) == pytest.approx(40)


def test_there_is_no_estimate_while_nothing_is_known():
    assert left(JOB) is None
    assert left(replace(JOB, seconds_total=None), speed=5.0) is None
    assert left(replace(JOB, started_at=1000.0), now=1000.0) is None
