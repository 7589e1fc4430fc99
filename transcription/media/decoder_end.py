"""Why a decoder process ended: with the file, because it was stopped, or because it failed on the file.

Only the first is an end of the recording. A decoder that is stopped in between leaves the same silence on the pipe, so
its exit code, its CPU time and its messages decide.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from transcription.core.errors import DecoderFailedOnce, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.media.sandbox.launcher_protocol import NOT_STARTED, End

# A process ends itself with these: an illegal access, a failed assertion, a call that the sandbox kills for.
CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGSYS, signal.SIGTRAP}
)
# Exit codes of ffmpeg. It answers SIGTERM, SIGINT and SIGXCPU by finishing its output early; of an error it returns the
# low byte of the negative number.
SIGNALLED, SIGNALLED_AGAIN = 255, 123
NOT_PERMITTED = "Operation not permitted"  # EPERM, whose exit code is 255, too
WRITE_ERRORS = frozenset({256 - 32, 256 - 28})  # EPIPE, ENOSPC: nothing of the file is written anywhere else
LOADER_FAILED = 127  # of the dynamic linker
NO_MEMORY, NO_THREAD = 256 - 12, 256 - 11  # ENOMEM; EAGAIN, when there is no memory for another stack
NO_MEMORY_TEXTS = ("Cannot allocate memory", "pthread_create() failed", "std::bad_alloc", "failed to map segment")
# The CPU limit is checked at a tick of the kernel's clock, and the kernel's sums are rounded.
CPU_TOLERANCE_SECONDS = 0.5
STOP_RETRY_SECONDS = 5.0

_MESSAGE = re.compile(r"(?:\[[^\]]*\] )*\[(?P<level>\w+)\] (?P<text>.*)")  # with -loglevel level+...


class Cause(Enum):
    """Why a decoder ended."""

    FILE = auto()  # the end of the file, whole or not
    STOPPED = auto()  # by a signal, its launcher or a pipe; or it was never started
    CPU = auto()
    MEMORY = auto()
    CRASH = auto()


@dataclass(frozen=True, slots=True)
class Message:
    """A line that ffmpeg wrote. level: its name for it, such as warning or error; error for a line without one."""

    level: str
    text: str

    @property
    def is_error(self) -> bool:
        return self.level in ("error", "fatal", "panic")


def messages_in(output: bytes, path: str = "") -> tuple[Message, ...]:
    """The lines of ffmpeg's standard error. path: of the file, replaced because clients may see a line."""
    text = output.decode(errors="replace")
    lines = (text.replace(path, "the file") if path else text).strip().splitlines()
    return tuple(_message(line) for line in lines if line.strip())


def _message(line: str) -> Message:
    match = _MESSAGE.fullmatch(line)
    return Message(match["level"], match["text"].strip()) if match else Message("error", line.strip())


def cause_of(end: End, messages: Sequence[Message], cpu_limit: float) -> Cause:
    """Why a process ended. cpu_limit: seconds of CPU time that it was allowed."""
    if end.code != 0 and end.cpu_seconds >= cpu_limit - CPU_TOLERANCE_SECONDS:
        return Cause.CPU
    if end.code < 0:
        return _cause_of_signal(-end.code, messages)
    if end.code in (NO_MEMORY, NO_THREAD) or (end.code != 0 and has_no_memory(messages)):
        return Cause.MEMORY
    if end.code == SIGNALLED and not any(NOT_PERMITTED in message.text for message in messages):
        return Cause.STOPPED
    if end.code in (SIGNALLED_AGAIN, NOT_STARTED, LOADER_FAILED) or end.code in WRITE_ERRORS:
        return Cause.STOPPED
    return Cause.FILE


def _cause_of_signal(number: int, messages: Sequence[Message]) -> Cause:
    if number not in CRASHES:
        return Cause.STOPPED
    return Cause.MEMORY if has_no_memory(messages) else Cause.CRASH


def has_no_memory(messages: Sequence[Message]) -> bool:
    """Whether an allocation failed."""
    return any(text in message.text for message in messages for text in NO_MEMORY_TEXTS)


def error_of(cause: Cause, end: End, settings: Settings, cpu_limit: float) -> ServiceUnavailable | None:
    """The error for a cause; None for the end of the file."""
    detail = _described(end)
    if cause is Cause.STOPPED:
        return ServiceUnavailable(
            "The decoder was stopped before the end of the recording. Try again.", detail, STOP_RETRY_SECONDS
        )
    if cause is Cause.CPU:
        what = f"Decoding this recording takes more than {cpu_limit:g} s of CPU time."
    elif cause is Cause.MEMORY:
        what = f"Decoding this recording takes more than DECODE_MEMORY_LIMIT, {settings.decode_memory_limit} bytes."
    elif cause is Cause.CRASH:
        what = "The decoder crashed on this recording."
    else:
        return None
    return DecoderFailedOnce(f"{what} Try again.", detail, STOP_RETRY_SECONDS)


def _described(end: End) -> str:
    used = f"after {end.cpu_seconds:.1f} s of CPU time"
    if end.code >= 0:
        return f"ended with code {end.code} {used}"
    try:
        name = signal.Signals(-end.code).name
    except ValueError:
        name = f"signal {-end.code}"
    return f"ended by {name} {used}"
