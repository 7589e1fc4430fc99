"""Transcribes live audio in this process, with the live session of the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from formats.registry import ResponseFormat, render
from runners.client.interface import Runner
from transcription.api.parameters.parsing import parse_parameters
from transcription.cli.live_engine import Complete, Event, Heard, Problem, by_speaker
from transcription.cli.transcriber import RecordingFailed
from transcription.core.errors import TranscriptionError
from transcription.core.settings import Settings
from transcription.live.events import Failed, Final, LiveEvent, Partial
from transcription.live.options import LiveOptions
from transcription.live.session import LiveSession
from transcription.live.transcript import transcript_of


class LocalLive:
    """`LiveEngine` with a model in this process. Needs a running event loop. Raises RecordingFailed."""

    def __init__(self, runner: Runner, settings: Settings, parameters: Mapping[str, str]) -> None:
        try:
            request = parse_parameters(parameters.items()).to_request(settings)
        except TranscriptionError as error:
            raise RecordingFailed(f"{error.message} {error.detail}".strip()) from None
        self._options = LiveOptions(
            request.decode,
            words=request.decode.word_timestamps,
            hallucinations=request.hallucinations,
            speakers=request.speakers,
        )
        self._session = LiveSession(runner, self._options, "command", model_dir=settings.whisper_model_dir)
        self._finals: list[Final] = []

    async def feed(self, audio: bytes) -> None:
        """Append audio."""
        await self._session.feed(audio)

    async def finish(self) -> None:
        """End the audio."""
        await self._session.finish()

    async def events(self) -> AsyncIterator[Event]:
        """What happens. Raises RecordingFailed."""
        try:
            async for event in self._session.events():
                if isinstance(event, Final):
                    self._finals.append(event)
                for each in _shown(event):
                    yield each
        except TranscriptionError as error:
            raise RecordingFailed(error.message) from None

    async def results(self, formats: Sequence[ResponseFormat]) -> Mapping[ResponseFormat, str]:
        """The text of all complete utterances in each format."""
        transcript = transcript_of(self._finals, self._options, self._session.seconds)
        return {each: (await asyncio.to_thread(render, transcript, each)).body for each in formats}

    async def aclose(self) -> None:
        """Stop at once."""
        await self._session.aclose()


def _shown(event: LiveEvent) -> Iterator[Event]:
    if isinstance(event, Partial):
        yield Heard(event.utterance, event.confirmed, event.tentative)
    elif isinstance(event, Final):
        pieces = [(segment.speaker or "", segment.text) for segment in event.segments]
        yield Complete(event.utterance, by_speaker(pieces) if event.turns else event.text)
    elif isinstance(event, Failed):
        yield Problem(event.error.message, event.utterance)
