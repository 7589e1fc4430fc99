"""The options of a submitted job, and the fingerprint that recognizes a repeated submission."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from transcription.core.options import TranscriptionRequest
from transcription.jobs.job import NO_CALLER, KeptLayout
from transcription.pipeline.request_key import digest


@dataclass(frozen=True, slots=True)
class Submission:
    """The options of a job.

    private: its run is not shared with other requests, and its result does not answer them. caller: the name of the
    API key that submits it.
    """

    request: TranscriptionRequest
    response_format: str
    idempotency_key: str | None = None
    callback_url: str | None = None
    private: bool = False
    layout: KeptLayout | None = None
    caller: str = NO_CALLER


def fingerprint(request_key: str, submission: Submission) -> str:
    """Equal for two submissions that agree in everything; compared when an idempotency key is used again."""
    parts = (request_key, submission.response_format, submission.callback_url)
    # Without a layout the same as before layouts existed, so that fingerprints of older versions still match.
    return digest(*parts, asdict(submission.layout)) if submission.layout else digest(*parts)
