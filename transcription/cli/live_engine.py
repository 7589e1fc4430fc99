"""The interface and the events that both ways to transcribe live audio share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Protocol

from formats.registry import ResponseFormat


@dataclass(frozen=True, slots=True)
class Heard:
    """Text of an utterance that goes on. confirmed: new, and never taken back. tentative: replaces the one before."""

    utterance: int
    confirmed: str
    tentative: str


@dataclass(frozen=True, slots=True)
class Complete:
    """The final text of an utterance, which may be empty."""

    utterance: int
    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something went wrong, and the session goes on. utterance: the one that has no final text; None for none."""

    message: str
    utterance: int | None = None


Event = Heard | Complete | Problem


def by_speaker(pieces: Iterable[tuple[str, str]]) -> str:
    """The text of an utterance, a line for each speaker. pieces: the speaker, "" if unknown, and the text of each."""
    lines = []
    for speaker, group in groupby(pieces, key=itemgetter(0)):
        text = " ".join(text.strip() for _, text in group)
        lines.append(f"{speaker}: {text}" if speaker else text)
    return "\n".join(lines)


class LiveEngine(Protocol):
    """Transcribes one stream of audio. Opened by `Transcriber.live`."""

    async def feed(self, audio: bytes) -> None:
        """Append audio: int16, little-endian, 16 kHz mono. Waits while too much of it is not transcribed yet.

        Raises RecordingFailed if the connection is lost.
        """

    async def finish(self) -> None:
        """End the audio; the events end after the last text."""

    def events(self) -> AsyncIterator[Event]:
        """What happens, in order. Raises RecordingFailed if the session fails."""

    async def results(self, formats: Sequence[ResponseFormat]) -> Mapping[ResponseFormat, str]:
        """The text of all complete utterances in each format, after `events` has ended."""
