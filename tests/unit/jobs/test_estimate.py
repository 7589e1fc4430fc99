"""The progress of a job, and the estimate of its end."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.options import Channel, DecodeOptions, SoundOptions, TranscriptionRequest, VadOptions
from transcription.core.speakers import SpeakerOptions
from transcription.jobs.estimate import progress_of, seconds_left
from transcription.jobs.job import Ahead, Job, JobSnapshot, JobStatus, Recording
from transcription.pipeline.diarize import MOST_WAITING, SPEED

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
DIARIZED = replace(JOB, request=replace(JOB.request, speakers=SpeakerOptions()))
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


def test_a_job_with_speakers_is_not_faster_than_their_voices_are_told_apart():
    fast = 10 * SPEED
    assert left(DIARIZED, speed=fast) == pytest.approx(100 / SPEED)
    assert left(replace(DIARIZED, status=JobStatus.QUEUED), Ahead(1, 280.0, 0), speed=fast) == pytest.approx(
        100 / SPEED + 280 / fast
    )
    assert left(DIARIZED, speed=SPEED / 10) == left(JOB, speed=SPEED / 10)  # windows that are slower decide alone


def test_channels_that_are_split_need_no_voices():
    split = replace(DIARIZED.request, sound=SoundOptions(channel=Channel.SPLIT))
    assert left(replace(DIARIZED, request=split), speed=10 * SPEED) == left(JOB, speed=10 * SPEED)


@given(st.floats(0.1, 1000.0), st.floats(1.0, 100_000.0))
def test_the_completion_time_of_a_job_with_speakers_stays_where_it_was_told_from_the_start(speed, total):
    """Windows are decoded at their speed until they are as far ahead of the voices as they may be."""
    job = replace(DIARIZED, seconds_total=total)
    first = left(job, speed=speed)
    for share in (0.1, 0.5, 0.9):
        after = share * first
        done = min(total, after * speed, after * SPEED + MOST_WAITING)
        told = after + left(replace(job, seconds_done=done), speed=speed)
        # When all windows are decoded, it is not known how far the voices are.
        assert first * 0.999 <= told <= first * 1.001 + (MOST_WAITING / SPEED if done == total else 0)
