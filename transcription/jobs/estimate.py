"""Estimates the progress and the completion time of a job. Pure functions."""

from __future__ import annotations

from transcription.core.options import Channel
from transcription.jobs.job import Job, JobSnapshot, JobStatus
from transcription.pipeline.diarize import MOST_WAITING, SPEED


def progress_of(job: Job) -> int:
    """Percent of the audio that is done, 0 to 100; 100 only for a completed job."""
    if job.status is JobStatus.COMPLETED:
        return 100
    if not job.seconds_total:
        return 0
    return min(99, int(100 * job.seconds_done / job.seconds_total))


def seconds_left(snapshot: JobSnapshot, at_once: int, now: float) -> float | None:
    """Seconds until the job is completed; None while too little is known.

    at_once: number of jobs that one process works on concurrently, each at the measured speed; the number of jobs in
    progress if that is larger. Without a measured speed the job's own is used. now: seconds since the epoch.
    The voices of a job's recording are told apart beside its windows, and the slower of the two decides.
    """
    job = snapshot.job
    speed = snapshot.speed or _own_speed(job, now)
    if not speed or job.seconds_total is None:
        return None
    left = max(0.0, job.seconds_total - job.seconds_done)
    own = max(left / speed, _of_voices(job, left, speed))
    if job.status is JobStatus.PROCESSING:
        return own
    # Recordings of unknown duration count as long as this one.
    waiting = snapshot.ahead.seconds + snapshot.ahead.unknown * job.seconds_total
    return own + waiting / (speed * max(at_once, snapshot.processing))


def _of_voices(job: Job, left: float, speed: float) -> float:
    """Seconds until the voices are told apart; 0 for a job that needs no voices. left: seconds of audio.

    If windows are faster, voices fall behind them, by MOST_WAITING at most: then the windows wait for them.
    """
    if job.request.speakers is None or job.request.sound.channel is Channel.SPLIT:
        return 0.0
    behind = min(MOST_WAITING, job.seconds_done * max(0.0, 1 - SPEED / speed))
    return (left + behind) / SPEED


def _own_speed(job: Job, now: float) -> float | None:
    if job.started_at is None or job.seconds_done <= 0 or now <= job.started_at:
        return None
    return job.seconds_done / (now - job.started_at)
