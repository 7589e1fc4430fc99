"""What a job is, from the accepted file to its end. Times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from formats.subtitles.layout import SubtitleLayout
from transcription.core.errors import Failure
from transcription.core.options import TranscriptionRequest


class JobStatus(StrEnum):
    """Where a job stands. The last three are final, until somebody retries it."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = frozenset({JobStatus.QUEUED, JobStatus.PROCESSING})


@dataclass(frozen=True, slots=True)
class Recording:
    """The accepted file of a job.

    name: of the file in the spool. filename, content_type: what the client called it, never used for a path.
    """

    name: str
    sha256: str
    size: int
    filename: str = ""
    content_type: str = ""


class DeliveryState(StrEnum):
    """Whether the caller's address was told how the job ended."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The webhook of a job. next_at: when it is tried next, None before the job ends and after the last try.

    detail: what came of the last try, for a person.
    """

    url: str
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    next_at: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class KeptLayout:
    """The layout that came with a submission, for whenever its result is wanted as subtitles.

    shows_words: whether the caller asked for words, too. If not, they are timed for the layout and not shown.
    """

    layout: SubtitleLayout
    shows_words: bool = False


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is accepted.

    work: what identical requests have in common; the job's own id when nobody may join it.
    response_format: what the caller wants the result as, unless told otherwise later.
    fingerprint: of everything that was sent, to tell a repeated submission from another one.
    request_id: of the request that brought it, for the log.
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


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands.

    number: grows with every job; the order of the queue.
    attempt: how often it was begun, and the fence: whoever began an earlier attempt may not write any more. It is
        never counted from zero again.
    failures: attempts in a row that ended by a fault of the machinery and without progress.
    seconds_done, seconds_total: of audio; the total is None until the file was examined.
    not_before: a queued job waits until then.
    request_id: of the request that brought it, "" for a job of an older version.
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

    @property
    def finished(self) -> bool:
        return self.status not in UNFINISHED


@dataclass(frozen=True, slots=True)
class Census:
    """All jobs of a store. oldest_queued: when the one that waits longest was accepted, None when none waits."""

    jobs: Mapping[JobStatus, int]
    oldest_queued: float | None


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is done before a queued job. seconds: of audio, as far as known; unknown: jobs whose length is not."""

    jobs: int
    seconds: float
    unknown: int


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job and what its end depends on.

    ahead: what is unfinished and older than it or than another unfinished job of its work. Work that several jobs share
    counts once, the job's own not at all, and seconds that are done do not count.
    speed: seconds of audio a second that one job advances, the median of the latest completed; None when unknown.
    processing: how many jobs are worked on just now, by whichever process.
    """

    job: Job
    ahead: Ahead
    speed: float | None
    processing: int = 0
