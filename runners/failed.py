"""The answer to a window that cannot be decoded."""

from __future__ import annotations

import structlog

from runners.client.wire import Reply, as_failure
from transcription.core.errors import TranscriptionError

log = structlog.get_logger(__name__)


def failed(error: TranscriptionError) -> Reply:
    """The reply with this error. One of none of the expected kinds is logged with its cause."""
    if type(error) is TranscriptionError:
        log.error("decode_failed", exc_info=error.__cause__)
    return Reply(failure=as_failure(error))
