"""What a live session says. Times are seconds of audio since the session's first sample, cleared audio included."""

from __future__ import annotations

from dataclasses import dataclass

from transcription.core.errors import TranscriptionError
from transcription.core.speakers import Turn
from transcription.core.transcript import Segment, Word


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """A voice is heard. Only with turn detection. at: start of the utterance, padding included, seconds."""

    utterance: int
    at: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The utterance has ended; its final text follows. Only with turn detection. at: end of the voice, seconds."""

    utterance: int
    at: float


@dataclass(frozen=True, slots=True)
class Partial:
    """The text so far of an utterance that is being spoken.

    confirmed: text that has been confirmed since the event before, "" for none. It is never taken back: what was
        confirmed of an utterance, joined without a separator, is a prefix of its final text.
    tentative: the text after everything confirmed, which replaces the tentative text of the event before.
    start, end: of the confirmed and the tentative text in this event, seconds.
    words: the words of `confirmed`. wants_words: the options of the utterance ask for words.
    """

    utterance: int
    confirmed: str
    tentative: str
    start: float
    end: float
    words: tuple[Word, ...] = ()
    wants_words: bool = False


@dataclass(frozen=True, slots=True)
class Final:
    """The text of an utterance. There is one for each that did not fail, in order; its text may be empty.

    Partial events of the next utterance may come before it.

    A `Partial` before it confirms what was not confirmed yet, so that the confirmed text, joined, is `text`.
    words: with times and probabilities; empty unless `wants_words`: the options of the utterance ask for them.
    segments: with times in the session. start, end: of the utterance, seconds.
    language: Whisper's code; "und" without text.
    turns: who speaks when, numbered in the session by who speaks first; with speakers alone. Words and segments have
    their labels then, except where no voice could be told.
    """

    utterance: int
    text: str
    words: tuple[Word, ...]
    segments: tuple[Segment, ...]
    language: str
    start: float
    end: float
    turns: tuple[Turn, ...] = ()
    wants_words: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The utterance has no final text. What was confirmed stands; the session goes on with the next utterance."""

    utterance: int
    error: TranscriptionError


LiveEvent = SpeechStarted | SpeechStopped | Partial | Final | Failed
