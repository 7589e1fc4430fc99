"""Decodes the audio of an utterance: quickly while it goes on, thoroughly at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from runners.client.interface import Runner
from transcription.core.audio import SAMPLE_RATE, Span, Timeline, Window
from transcription.core.errors import ServiceUnavailable, Superseded
from transcription.core.options import DecodeOptions, HallucinationPolicy, Priority, Ticket
from transcription.core.transcript import Segment, WindowResult
from transcription.live.audio import AudioBuffer, Samples
from transcription.live.options import LiveOptions
from transcription.live.utterance import Utterance
from transcription.media.voice_activity import Activity
from transcription.pipeline.assemble import place
from transcription.pipeline.hallucinations import find_hallucinations

# Of a decode: what comes in while the window is full is part of it.
LONGEST_SAMPLES = 15 * SAMPLE_RATE
RETRIES = 4  # of a last decode that the model's process did not answer: it is replaced in about 10 s
MOST_DELAY = 8.0  # seconds


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Audio to decode.

    start: its first sample in the session. activity: the speech in it, in samples of the session.
    """

    start: int
    samples: Samples
    activity: Activity

    @property
    def end(self) -> int:
        """The sample of the session after the last one."""
        return self.start + len(self.samples)

    def window(self) -> Window:
        """As a window whose times are those of the session."""
        timeline = Timeline((Span(self.start, len(self.samples)),))
        return Window(self.samples, timeline, tuple(self.activity.stretches), tuple(self.activity.voice))


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What was heard in a piece, without hallucinations. Times are those of the session.

    language_probability: 0..1; 1.0 if the language was given.
    """

    segments: tuple[Segment, ...]
    language: str
    language_probability: float


def piece_of(utterance: Utterance, audio: AudioBuffer, end: int) -> Piece:
    """What is left of the audio of an utterance. end: its last sample, exclusive."""
    start = max(utterance.base, audio.start, end - LONGEST_SAMPLES)
    return Piece(start, audio.slice(start, end), audio.activity(start, end, utterance.options.threshold))


class LiveDecoder:
    """Decodes for one session. work_id: of the session, unique; its windows have their turn by it."""

    def __init__(self, runner: Runner, request_id: str, work_id: str) -> None:
        self._runner = runner
        self._ticket = Ticket(request_id, Priority.LIVE, work_id)
        self._replaceable = replace(self._ticket, replaceable=True)

    async def quickly(self, piece: Piece, options: LiveOptions, language: str | None, *, beams: bool) -> Hypothesis:
        """A hypothesis. Raises Superseded when a newer piece took its place in the queue, and the runner's errors.

        beams: search with those of the options, which has fewer errors and costs half as much again.
        """
        decode = quick(options.decode, language, beams=beams)
        result = await self._runner.transcribe(piece.window(), decode, self._replaceable)
        return _heard(result, piece, options, decode)

    async def thoroughly(
        self,
        piece: Piece,
        options: LiveOptions,
        language: str | None,
        give_up: Callable[[], bool] = lambda: False,
        *,
        replaceable: bool = False,
    ) -> Hypothesis:
        """The best that the options allow, tried again while the model's process is being replaced.

        give_up: whether it is not to be tried again. replaceable: see `quickly`, whose errors it has then.
        Raises the runner's errors.
        """
        decode = replace(options.decode, word_timestamps=True, language=language)
        for left in range(RETRIES, -1, -1):
            try:
                ticket = self._replaceable if replaceable else self._ticket
                result = await self._runner.transcribe(piece.window(), decode, ticket)
                return _heard(result, piece, options, decode)
            except Superseded:
                raise
            except ServiceUnavailable as error:
                if not left or give_up():
                    raise
                await asyncio.sleep(min(MOST_DELAY, error.retry_after))
        raise AssertionError("unreachable")


def quick(options: DecodeOptions, language: str | None, *, beams: bool) -> DecodeOptions:
    """The options of a tick: one temperature, no second attempt, one beam or all; equal ones share a batch."""
    return replace(
        options,
        beam_size=options.beam_size if beams else 1,
        best_of=1,
        temperatures=options.temperatures[:1],
        word_timestamps=True,
        language=language,
        draft=True,
    )


def _heard(result: WindowResult, piece: Piece, options: LiveOptions, decode: DecodeOptions) -> Hypothesis:
    timeline = piece.window().timeline
    segments = [place(segment, timeline) for segment in result.segments]
    if options.hallucinations is not HallucinationPolicy.KEEP:
        found = {finding.index for finding in find_hallucinations(segments, piece.activity, decode)}
        segments = [segment for index, segment in enumerate(segments) if index not in found]
    return Hypothesis(tuple(segments), result.language, result.language_probability)
