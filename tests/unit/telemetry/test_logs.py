"""Log lines: their format, their fields and their level."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from transcription.core.settings import Settings
from transcription.telemetry.logs import configure_logging, current_request_id, request_context


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """All that is logged in a test, as text."""
    handlers, level = logging.root.handlers, logging.root.level
    stream = io.StringIO()
    configure_logging(Settings(app_name="tested"), stream)
    yield stream
    logging.root.handlers, logging.root.level = handlers, level
    structlog.reset_defaults()


def test_a_line_is_one_json_object_with_the_common_fields(output: io.StringIO) -> None:
    with request_context("the-id"):
        structlog.get_logger("x").info("done", endpoint="/transcribe", status_code=200)
    line = json.loads(output.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "INFO",
        "service": "tested",
        "request_id": "the-id",
        "message": "done",
        "endpoint": "/transcribe",
        "status_code": 200,
    }


def test_lines_of_libraries_have_the_same_format(output: io.StringIO) -> None:
    with request_context("the-id"):
        logging.getLogger("bentoml.serve").warning("slow %s", "answer")
    line = json.loads(output.getvalue())
    assert (line["message"], line["level"], line["request_id"]) == ("slow answer", "WARNING", "the-id")


def test_a_traceback_is_part_of_its_line(output: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    (line,) = output.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["exception"]


def test_the_level_is_respected(output: io.StringIO) -> None:
    structlog.get_logger("x").debug("hidden")
    logging.getLogger("uvicorn.access").info("hidden")
    assert output.getvalue() == ""


def test_there_is_no_request_id_outside_of_a_request() -> None:
    assert current_request_id() == ""
    with request_context("inside"):
        assert current_request_id() == "inside"
    assert current_request_id() == ""


def test_a_terminal_shows_columns() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    handlers = logging.root.handlers
    terminal = Terminal()
    configure_logging(Settings(), terminal)
    structlog.get_logger("y").info("readable")
    logging.root.handlers = handlers
    structlog.reset_defaults()
    assert "readable" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    assert sys.stderr is not terminal
