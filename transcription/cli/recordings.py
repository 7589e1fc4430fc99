"""The recordings that the command reads: files, pipes and standard input."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import IO

import httpx

from transcription.cli.transcriber import RecordingFailed, ReportProgress
from transcription.media.intake.containers import SUPPORTED
from transcription.media.intake.identify import DECIDING_BYTES, identify_content
from transcription.system.signals import is_readable

STDIN = "-"
STDIN_DESCRIPTOR = 0
# /dev/fd/63 is what <(...) becomes. None is a place to write results to.
DESCRIPTOR = re.compile(r"-|/dev/stdin|/dev/fd/\d+|/proc/[^/]+/fd/\d+")
NAMELESS = "recording"
DESCRIPTORS = Path("/proc/self/fd")  # on Linux
BLOCK_BYTES = 1 << 20
AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # not on Windows
PATIENCE_SECONDS = 1.0  # with a named pipe, before the user is told
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
def open_recording(
    file: Path, limit: Callable[[], int], tell: Callable[[str], None] = lambda message: None
) -> Iterator[Path]:
    """The path of a file that can be read repeatedly, with the recording. Raises RecordingFailed.

    limit: called for the bytes of a stream that may be copied, which may have no end. tell: receives what the user is
    to know while nothing happens.
    """
    with _opened(file) as source:
        mode = os.fstat(source.fileno()).st_mode
        if stat.S_ISREG(mode) and not is_nameless(file):
            yield file
            return
        if source.isatty():
            raise RecordingFailed("is a terminal. Pipe a recording into the command, or name a file.")
        with temporary_file() as (copy, path):
            try:
                if stat.S_ISFIFO(mode) and not is_nameless(file) and not is_readable(source.fileno(), PATIENCE_SECONDS):
                    tell("waiting for something that writes to this pipe")
                write_recording(_blocks(source), copy, limit())
            except OSError as error:
                raise RecordingFailed(f"cannot be read: {error.strerror or error}") from None
            yield path


@contextmanager
def temporary_file() -> Iterator[tuple[IO[bytes], Path]]:
    """A new file, and its path. On Linux it has no name, so that nothing is left of a command that is killed."""
    if DESCRIPTORS.is_dir():
        with tempfile.TemporaryFile() as file:
            yield file, DESCRIPTORS / str(file.fileno())
        return
    with tempfile.NamedTemporaryFile(prefix="transcribe-") as named:
        yield named, Path(named.name)


def write_recording(blocks: Iterable[bytes], file: IO[bytes], limit: int) -> None:
    """Write a stream to a new file, whose position is anywhere afterwards.

    Raises RecordingFailed as soon as it is no recording, or has more than `limit` bytes; and OSError.
    """
    size = 0
    is_known = False
    for block in blocks:
        file.write(block)
        size += len(block)
        if not is_known and size >= DECIDING_BYTES:
            file.seek(0)
            if identify_content(file)[0] is None:
                raise RecordingFailed(f"is not a supported audio or video file. Supported formats: {SUPPORTED}")
            file.seek(0, os.SEEK_END)
            is_known = True
        if size > limit:
            raise RecordingFailed(
                f"has more than {limit} bytes, the limit of what is copied from a pipe or an address. Raise "
                "MAX_FILE_SIZE, or write the recording to a file."
            )
    file.flush()


@contextmanager
def fetched(url: str, limit: Callable[[], int], report: ReportProgress) -> Iterator[Path]:
    """A temporary file with what is at a URL. limit: as of `open_recording`. Raises RecordingFailed.

    It is fetched here, not by the server: what this user may read is not for the server to decide, nor the reverse.
    """
    with temporary_file() as (copy, path):
        try:
            with httpx.stream("GET", url, follow_redirects=True, timeout=DOWNLOAD_TIMEOUT) as answer:
                if not answer.is_success:
                    raise RecordingFailed(f"the address was answered with status {answer.status_code}. Check it.")
                write_recording(_received(answer, report), copy, limit())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RecordingFailed(f"the address cannot be fetched: {error or type(error).__name__}") from None
        except OSError as error:
            raise RecordingFailed(f"no room for the download: {error.strerror or error}") from None
        yield path


def _received(answer: httpx.Response, report: ReportProgress) -> Iterator[bytes]:
    """The body of an answer, in blocks."""
    declared = answer.headers.get("content-length", "")
    size = int(declared) if declared.isdigit() and "content-encoding" not in answer.headers else 0
    received = 0
    for block in answer.iter_bytes():
        yield block
        received += len(block)
        report("downloading", min(1.0, received / size) if size else None)


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
def _opened(file: Path) -> Iterator[FileIO]:
    try:
        if str(file) == STDIN:  # the descriptor itself: sys.stdin is None if it was closed
            source = FileIO(os.dup(STDIN_DESCRIPTOR))
        else:
            # A named pipe is opened at once, not when something writes to it: until then no signal might be noticed.
            source = FileIO(file, opener=lambda path, flags: os.open(path, flags | AT_ONCE))
    except OSError as error:
        raise RecordingFailed(f"cannot be read: {error.strerror or error}") from None
    with source:
        yield source


def _blocks(source: FileIO) -> Iterator[bytes]:
    """What can be read until the end of a file, a pipe or a device."""
    while True:
        is_readable(source.fileno())
        block = source.read(BLOCK_BYTES)
        if block is None:  # another process was quicker
            continue
        if not block:
            return
        yield block
