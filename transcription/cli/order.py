"""What the command was asked to do, and how it can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from formats.registry import ResponseFormat

# What is shown while a file is worked on: the step, and how far it is, 0..1, None when nobody knows.
Progress = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True)
class Order:
    """One recording. parameters: of POST /transcribe. name: for messages, and for the type of the file."""

    path: Path
    name: str
    formats: tuple[ResponseFormat, ...]
    parameters: Mapping[str, str]


class Failed(Exception):
    """This recording cannot be done; others may be. The message is for a person."""


class Unreachable(Exception):
    """Nobody answers, so that no recording can be done."""


class Transcriber(Protocol):
    """Who does the work."""

    def transcribe(self, order: Order, progress: Progress) -> Mapping[ResponseFormat, str]:
        """The recording in every format. Raises Failed, Unreachable; KeyboardInterrupt leaves nothing behind."""

    def close(self) -> None:
        """Let go of everything."""
