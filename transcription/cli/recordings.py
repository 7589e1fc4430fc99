"""The recordings that the command reads: files, pipes and standard input."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx

from transcription.cli.transcriber import RecordingFailed, ReportProgress

STDIN = "-"
STDIN_DESCRIPTOR = 0
# /dev/fd/63 is what <(...) becomes. None is a place to write results to.
DESCRIPTOR = re.compile(r"-|/dev/stdin|/dev/fd/\d+|/proc/[^/]+/fd/\d+")
NAMELESS = "recording"
DOWNLOAD_TIMEOUT = httpx.Timeout(60.0, connect=10.0)  # seconds: the longest pause


def is_nameless(file: Path) -> bool:
    """Whether the recording has no name of its own, so that its result is printed."""
    return DESCRIPTOR.fullmatch(str(file)) is not None


def name_of(file: Path) -> str:
    """The name of the recording, for messages and for the check of its ending."""
    return NAMELESS if is_nameless(file) else as_text(file.name)


def as_text(argument: str) -> str:
    """An argument of the command as text that can be sent and printed; bytes that are not UTF-8 are replaced.

    Python keeps bytes that the locale cannot decode as surrogates.
    """
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@contextmanager
def open_recording(file: Path) -> Iterator[Path]:
    """The path of a file that can be read repeatedly, with the recording. Raises RecordingFailed."""
    with _opened(file) as source:
        if stat.S_ISREG(os.fstat(source.fileno()).st_mode) and not is_nameless(file):
            yield file
            return
        with tempfile.NamedTemporaryFile(prefix="transcribe-") as copy:
            try:
                shutil.copyfileobj(source, copy)
                copy.flush()
            except OSError as error:
                raise RecordingFailed(f"cannot be read: {error.strerror or error}") from None
            yield Path(copy.name)


@contextmanager
def fetched(url: str, report: ReportProgress) -> Iterator[Path]:
    """A temporary file with what is at a URL. Raises RecordingFailed.

    It is fetched here, not by the server: what this user may read is not for the server to decide, nor the reverse.
    """
    with tempfile.NamedTemporaryFile(prefix="transcribe-") as copy:
        try:
            with httpx.stream("GET", url, follow_redirects=True, timeout=DOWNLOAD_TIMEOUT) as answer:
                if not answer.is_success:
                    raise RecordingFailed(f"the address was answered with status {answer.status_code}. Check it.")
                declared = answer.headers.get("content-length", "")
                size = int(declared) if declared.isdigit() and "content-encoding" not in answer.headers else 0
                received = 0
                for block in answer.iter_bytes():
                    copy.write(block)
                    received += len(block)
                    report("downloading", min(1.0, received / size) if size else None)
            copy.flush()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RecordingFailed(f"the address cannot be fetched: {error or type(error).__name__}") from None
        except OSError as error:
            raise RecordingFailed(f"no room for the download: {error.strerror or error}") from None
        yield Path(copy.name)


def reason_unreadable(file: Path) -> str:
    """Why a file cannot be read, "" if it can or if only reading would tell."""
    if is_nameless(file):
        return ""
    try:
        mode = file.stat().st_mode
        if stat.S_ISREG(mode):
            file.open("rb").close()
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "cannot be read: Is a directory" if stat.S_ISDIR(mode) else ""


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        # The descriptor itself: sys.stdin is None if it was closed.
        source = os.fdopen(os.dup(STDIN_DESCRIPTOR), "rb") if str(file) == STDIN else file.open("rb")
    except OSError as error:
        raise RecordingFailed(f"cannot be read: {error.strerror or error}") from None
    with source:
        yield source
