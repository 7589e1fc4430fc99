"""The data of a job, from its acceptance to its end. Times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from formats.subtitles.layout import SubtitleLayout
from transcription.core.errors import Failure
from transcription.core.options import TranscriptionRequest

UNKNOWN_CALLER = "\n"  # of jobs whose caller cannot be read; no key has this name
NO_CALLER = ""  # of jobs submitted without an API key, or stored by a version that did not record callers


class JobStatus(StrEnum):
    """The state of a job. The last three are final, except that a failed or completed job can be retried."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = frozenset({JobStatus.QUEUED, JobStatus.PROCESSING})


@dataclass(frozen=True, slots=True)
class Recording:
    """The accepted file of a job.

    name: of the file in the recording store. sha256: hexadecimal. size: bytes. filename, content_type: as given by the
    client, never used for a path.
    """

    name: str
    sha256: str
    size: int
    filename: str = ""
    content_type: str = ""


class DeliveryState(StrEnum):
    """Whether the final status was delivered to the callback URL."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The webhook of a job.

    attempts: begun so far. next_at: time of the next attempt, None before the job ends and after the last attempt.
    detail: the outcome of the last attempt, for operators.
    """

    url: str
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    next_at: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class KeptLayout:
    """The subtitle layout of a submission, for results in a subtitle format.

    shows_words: whether the client requested word timestamps. If not, words are timed for the layout and not shown.
    """

    layout: SubtitleLayout
    shows_words: bool = False


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be accepted.

    work: the request key, which identical requests share; the job's own id if the job is private.
    response_format: the default format of the result. fingerprint: of the whole submission, to recognize a repeated
    one. caller: the name of the API key that submits it. idempotency_key: each caller has its own.
    request_id: of the submitting request, for the log.
    """

    id: str
    work: str
    request: TranscriptionRequest
    recording: Recording
    response_format: str
    fingerprint: str
    idempotency_key: str | None = None
    callback_url: str | None = None
    request_id: str = ""
    layout: KeptLayout | None = None
    caller: str = NO_CALLER


@dataclass(frozen=True, slots=True)
class Job:
    """A stored job.

    number: increases with every job; the order of the queue.
    attempt: number of attempts begun, and the fencing token: an earlier attempt can no longer write. Never reset.
    failures: attempts in a row that ended without progress because the service failed.
    seconds_done, seconds_total: of audio; the total is None until the recording was examined.
    not_before: a queued job is due from then on.
    request_id: of the submitting request, "" for a job of an older version.
    caller: the name of the API key that submitted it; the job belongs to that key.
    result: which of the stored results it shows, "" for none. It changes when its transcript is corrected or its
    speakers get other names.
    readable: False if the stored job cannot be read (`transcription.jobs.store.unreadable`). It is failed then, its
    failure says why, and fields that could not be read have their defaults.
    """

    id: str
    number: int
    work: str
    status: JobStatus
    request: TranscriptionRequest
    recording: Recording
    response_format: str
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    not_before: float = 0.0
    attempt: int = 0
    failures: int = 0
    seconds_done: float = 0.0
    seconds_total: float | None = None
    failure: Failure | None = None
    delivery: Delivery | None = None
    request_id: str = ""
    layout: KeptLayout | None = None
    caller: str = NO_CALLER
    result: str = ""
    readable: bool = True

    @property
    def finished(self) -> bool:
        return self.status not in UNFINISHED


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a job's transcript. number: 0 for what was transcribed, and one more for each change.

    saved_at: when it replaced the one before; of the first, when the job was completed.
    """

    number: int
    saved_at: float


@dataclass(frozen=True, slots=True)
class JobCounts:
    """The number of jobs in a store. oldest_queued: acceptance of the oldest queued job, None if none is queued."""

    by_status: Mapping[JobStatus, int]
    oldest_queued: float | None


@dataclass(frozen=True, slots=True)
class Ahead:
    """The work ahead of a queued job. Work that several jobs share counts once.

    jobs: those that begin before it, if no job ends or is submitted meanwhile. seconds: of audio that is left of these
    and of the jobs in progress, where known. unknown: those of them whose duration is unknown.
    """

    jobs: int
    seconds: float
    unknown: int


NOTHING_AHEAD = Ahead(0, 0.0, 0)


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job and what its completion time depends on.

    ahead: of a queued job; nothing for any other. speed: seconds of audio per second at which one job advances, the
    median of the latest completed jobs; None if unknown. processing: number of jobs in progress in all processes.
    """

    job: Job
    ahead: Ahead
    speed: float | None
    processing: int = 0
