"""Structured logs: one JSON object per line, or columns on a terminal, with the id of the request.

At INFO and above no line contains audio, transcripts or file names.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from transcription.core.settings import Settings
from transcription.core.transcript import Transcript

REQUEST_ID = "request_id"
# They install handlers and formats of their own, which are removed.
CHATTY_LOGGERS = ("bentoml", "circus", "uvicorn", "uvicorn.error", "uvicorn.access")
# The service logs each request itself, with its id; a line for each call to the model hub or the runner is noise.
QUIET_LOGGERS = ("bentoml.access", "uvicorn.access", "httpx", "httpcore", "faster_whisper")


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send all log lines of this process, including those of libraries, through one formatter.

    stream: where to; None for stderr. The format is JSON unless it is a terminal.
    """
    output = stream or sys.stderr
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_common_processors(settings.app_name),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(output.isatty())],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(settings.log_level)
    for name in CHATTY_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common_processors(settings.app_name),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


@contextmanager
def request_context(request_id: str, **more: str) -> Iterator[None]:
    """Add the id and `more` to every line logged in the block, and in tasks started in it."""
    with bound_contextvars(**{REQUEST_ID: request_id}, **more):
        yield


def current_request_id() -> str:
    """The id of the request being served; empty outside of a request."""
    return str(get_contextvars().get(REQUEST_ID, ""))


def metadata_of(transcript: Transcript, file_size: int) -> dict[str, object]:
    """Facts about a recording for the log, without anything that was said in it. file_size: bytes."""
    return {
        "file_size": file_size,
        "duration": round(transcript.duration, 2),
        "language": transcript.language,
        "model": transcript.model,
    }


def _common_processors(service: str) -> list[Processor]:
    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
    ]


def _renderers(terminal: bool) -> list[Processor]:
    if terminal:
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [
        structlog.processors.format_exc_info,
        _upper_level,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ]


def _upper_level(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["level"] = str(event.get("level", "")).upper()
    return event
