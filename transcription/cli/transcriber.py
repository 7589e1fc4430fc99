"""The request, the interface and the errors that both ways to transcribe share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from formats.registry import ResponseFormat
from transcription.cli.live_engine import LiveEngine

# Called with the current step and the share of it that is done, 0..1, or None if unknown.
ReportProgress = Callable[[str, float | None], None]
# Called with the start and the end of a segment, in seconds, and its text, as soon as it is decoded.
ShowText = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """One recording to transcribe.

    name: the file name, for messages and for the check of its extension. parameters: those of POST /transcribe.
    warn: receives what is to know about the file, such as that it breaks off. show: receives the text as it comes; the
    finished transcript may have less, since it is judged as a whole.
    """

    path: Path
    name: str
    formats: tuple[ResponseFormat, ...]
    parameters: Mapping[str, str]
    warn: Callable[[str], None] = lambda message: None
    show: ShowText = lambda start, end, text: None


class RecordingFailed(Exception):
    """This recording cannot be transcribed; others may be. The message is shown to the user."""


class ServerUnavailable(Exception):
    """The server cannot be reached or has no capacity, so that no recording can be transcribed."""


@dataclass(frozen=True, slots=True)
class ModelLine:
    """A model that may be named. size, accuracy: for people. state: such as "default, on disk"."""

    name: str
    size: str
    accuracy: str
    state: str


def state_of(*, is_default: bool, is_on_disk: bool) -> str:
    """The state of a model, for people."""
    return ", ".join([*(["default"] if is_default else []), "on disk" if is_on_disk else "to be downloaded"])


class Transcriber(Protocol):
    """Transcribes recordings, in this process or on a server."""

    def transcribe(self, request: RecordingRequest, report: ReportProgress) -> Mapping[ResponseFormat, str]:
        """The transcript in each format.

        Raises RecordingFailed and ServerUnavailable. On KeyboardInterrupt all work on the recording is undone.
        """

    def live(self, parameters: Mapping[str, str]) -> AbstractAsyncContextManager[LiveEngine]:
        """A session for live audio. Raises RecordingFailed and ServerUnavailable when it is entered."""

    def models(self) -> list[ModelLine]:
        """The models that may be named. Raises ServerUnavailable."""

    def close(self, *, interrupted: bool = False) -> None:
        """Release all resources. interrupted: the process ends at once, while the model may be decoding."""
