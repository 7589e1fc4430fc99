"""Turns an accepted upload into a transcript. The only module that knows the order of the steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runners.client.interface import Runner
from transcription.core.audio import SAMPLE_RATE, Window
from transcription.core.errors import InvalidParameter, ServiceUnavailable, TranscriptionError
from transcription.core.languages import DOUBTFUL, UNDETERMINED
from transcription.core.options import Channel, Priority, SoundOptions, Ticket, TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.speakers import LONGEST_SAMPLE, REFERENCES, KnownVoice, SpeakerOptions, SpeakerTurns
from transcription.core.transcript import PlacedResult, Transcript
from transcription.media.decode import decode
from transcription.media.intake.upload import Upload
from transcription.media.media import Media
from transcription.media.tracks import track_notices
from transcription.media.windows import cut_windows, longest_window
from transcription.pipeline.assemble import judged, prompt_notices
from transcription.pipeline.counted_samples import CountedSamples
from transcription.pipeline.decode_windows import WindowDecoder
from transcription.pipeline.diarize import SpeakerStage, voice_in
from transcription.pipeline.opener import Opener
from transcription.pipeline.room import Share
from transcription.pipeline.sides import SIDES, Side, by_time, merged

MOST_DETECTIONS = 2  # windows that are asked for the language of a file


OnResult = Callable[[PlacedResult, float | None], None]


@dataclass(frozen=True, slots=True)
class Detection:
    """The language of a file; "und" without speech. probability: 0 to 1."""

    language: str
    probability: float


class Pipeline:
    """Transcribes accepted uploads: probe, decoder, windows, runner, assembly."""

    def __init__(self, settings: Settings, runner: Runner) -> None:
        self._settings = settings
        self._runner = runner
        self._opener = Opener(settings)

    async def transcribe(
        self,
        upload: Upload,
        request: TranscriptionRequest,
        ticket: Callable[[], Ticket],
        known: Sequence[PlacedResult] = (),
        on_result: OnResult | None = None,
    ) -> Transcript:
        """The transcript of the whole file.

        ticket: called at the start, and for each window as it is sent, because the priority may change during the run.
        known: results of an earlier, interrupted run of the same file and request, from the first window on.
        on_result: called for each window in file order, known ones included, with the seconds of audio in the file
            (None if unknown).
        Raises the errors of media/ and of the runner. A cancellation kills the decoder and withdraws queued windows.
        """
        started = time.perf_counter()
        transcript = await self._transcribe(upload, request, ticket, known, on_result)
        return replace(transcript, processing_time=time.perf_counter() - started)

    async def _transcribe(
        self,
        upload: Upload,
        request: TranscriptionRequest,
        ticket: Callable[[], Ticket],
        known: Sequence[PlacedResult],
        on_result: OnResult | None,
    ) -> Transcript:
        async with AsyncExitStack() as stack:
            background = ticket().priority is Priority.BACKGROUND
            opening = self._opener.open(upload, request.sound, background=background)
            media, share = await stack.enter_async_context(opening)
            if request.sound.channel is Channel.SPLIT:
                return await self._transcribe_channels(media, share, request, ticket, known, on_result)
            notices = track_notices(media, request.sound)
            placed: list[PlacedResult] = []
            speakers = None
            if request.speakers:
                heard = [item.heard for item in known if item.heard]
                stage = SpeakerStage(request.speakers, self._settings.whisper_model_dir, heard)
                speakers = await stack.enter_async_context(aclosing(stage))
            blocks = decode(media, self._settings, notices, request.sound.channel)
            pcm = CountedSamples(blocks, share, speakers.feed if speakers else None)
            # Closes the decoder now: `windows` would leave it to the garbage collector.
            await stack.enter_async_context(aclosing(pcm))
            windows = windows_of(pcm, request)
            results = await stack.enter_async_context(aclosing(self._results(windows, request, ticket, known)))
            async for item in results:
                stored = known[len(placed)].result if len(placed) < len(known) else None
                if speakers and item.result != stored:
                    item = replace(item, heard=speakers.heard())
                placed.append(item)
                if on_result:
                    on_result(item, media.duration)
            transcript = judged(placed, request, pcm.samples / SAMPLE_RATE)
            if speakers:
                transcript = await speakers.label(transcript)
        return replace(transcript, notices=(*notices, *prompt_notices(placed)))

    async def _transcribe_channels(
        self,
        media: Media,
        share: Share,
        request: TranscriptionRequest,
        ticket: Callable[[], Ticket],
        known: Sequence[PlacedResult],
        on_result: OnResult | None,
    ) -> Transcript:
        """Left and right apart, a window of the one or the other at a time, merged with a speaker each."""
        sides: list[Side] = []
        async with AsyncExitStack() as stack:
            for number, channel in enumerate(SIDES):
                notices = track_notices(media, request.sound)
                pcm = CountedSamples(decode(media, self._settings, notices, channel), share)
                await stack.enter_async_context(aclosing(pcm))
                own = [item for item in known if item.channel == number]
                work = self._results(windows_of(pcm, request), request, ticket, own)
                sides.append(Side(pcm, notices, await stack.enter_async_context(aclosing(work))))
            async for number, item in by_time([side.results for side in sides]):
                placed = replace(item, channel=number)
                sides[number].placed.append(placed)
                if on_result:
                    on_result(placed, media.duration)
        return await asyncio.to_thread(merged, sides, request)

    async def diarize(self, upload: Upload, speakers: SpeakerOptions, sound: SoundOptions) -> SpeakerTurns:
        """Who speaks when, without a transcript. Raises ModelUnavailable, and the errors of media/."""
        async with self._opener.open(upload, sound) as (media, share):
            pcm = CountedSamples(decode(media, self._settings, channel=sound.channel), share)
            stage = SpeakerStage(speakers, self._settings.whisper_model_dir)
            async with aclosing(stage), aclosing(pcm):
                async for block in pcm:
                    await stage.feed(block)
                return await stage.turns(pcm.samples / SAMPLE_RATE)

    async def known_voice(self, name: str, upload: Upload) -> KnownVoice:
        """The voice of a person in a sample. Raises InvalidParameter, ModelUnavailable, ServiceUnavailable."""
        blocks: list[NDArray[np.int16]] = []
        seconds = 0.0
        try:
            opening = self._opener.open(upload, SoundOptions(), whole=False)
            async with opening as (media, _), aclosing(decode(media, self._settings)) as pcm:
                async for block in pcm:
                    blocks.append(block)
                    seconds += len(block) / SAMPLE_RATE
                    if seconds > LONGEST_SAMPLE:
                        break
        except (ServiceUnavailable, InvalidParameter):
            raise
        except TranscriptionError as error:
            message = f"The sample of '{name}' cannot be used: {error.message}"
            raise InvalidParameter(message, error.detail, REFERENCES) from error
        return await voice_in(name, np.concatenate(blocks), self._settings.whisper_model_dir)

    async def detect_language(self, upload: Upload, request: TranscriptionRequest, ticket: Ticket) -> Detection:
        """The language of the first window with speech, or of the second if it is less doubtful there.

        The file is decoded no further than that. Raises the errors of media/ and of the runner.
        """
        sound = request.sound
        if sound.channel is Channel.SPLIT:
            sound = replace(sound, channel=Channel.MIX)
        options = replace(request.decode, language=None, only_language=True)
        found: list[Detection] = []
        async with self._opener.open(upload, sound, whole=False) as (media, share):
            pcm = CountedSamples(decode(media, self._settings, channel=sound.channel), share)
            windows = windows_of(pcm, request, listen=False)
            async with aclosing(pcm), aclosing(windows):
                async for window in windows:
                    result = await self._runner.transcribe(window, options, ticket)
                    found.append(Detection(result.language, result.language_probability))
                    if len(found) == MOST_DETECTIONS or found[-1].probability >= DOUBTFUL:
                        break
        return max(found, key=lambda detection: detection.probability, default=Detection(UNDETERMINED, 0.0))

    def _results(
        self,
        windows: AsyncGenerator[Window, None],
        request: TranscriptionRequest,
        ticket: Callable[[], Ticket],
        known: Sequence[PlacedResult],
    ) -> AsyncGenerator[PlacedResult, None]:
        return WindowDecoder(self._runner, self._settings, request, ticket).results(windows, known)


def windows_of(
    pcm: CountedSamples, request: TranscriptionRequest, *, listen: bool = True
) -> AsyncGenerator[Window, None]:
    """The windows that a request is decoded in. listen: see `cut_windows`."""
    longest = longest_window(request.decode.encoder_context)
    return cut_windows(pcm, request.vad, longest=longest, listen=listen)
