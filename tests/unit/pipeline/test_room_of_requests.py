"""How many synchronous requests hold decoders and sound at once: real decoders, a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.media_files import SPOKEN, noise, run_ffmpeg, write_wav
from tests.support.scripted_runner import POLL_SECONDS, ScriptedRunner, as_test
from transcription.core.audio import SAMPLE_RATE, Window
from transcription.core.errors import InvalidParameter, TranscriptionError, UnsupportedFormat
from transcription.core.options import (
    Channel,
    DecodeOptions,
    Priority,
    SoundOptions,
    Ticket,
    TranscriptionRequest,
    VadOptions,
)
from transcription.core.settings import Settings
from transcription.core.speakers import SpeakerOptions
from transcription.core.transcript import WindowResult
from transcription.media.intake.upload import Upload
from transcription.media.media import Media
from transcription.media.probe import probe
from transcription.pipeline import opener, transcribe
from transcription.pipeline.opener import MOST_PROBES
from transcription.pipeline.room import DECODER_BYTES, LONGEST_SHORT, Room, room_for
from transcription.pipeline.transcribe import Pipeline

REQUEST = TranscriptionRequest(DecodeOptions("demo", language="en"), VadOptions(enabled=False))
SPLIT = replace(REQUEST, sound=SoundOptions(channel=Channel.SPLIT))
REQUESTS = 5
TOTAL_SAMPLES = 18  # where FLAC counts them: eight bytes, of which the last 36 bits
PATIENCE = 120.0  # seconds; the limit of a failure


class Decoders:
    """In the place of `decode`. most: that ran at once."""

    def __init__(self, decode: Callable[..., AsyncGenerator[Any, None]]) -> None:
        self._decode = decode
        self._running = self.most = 0

    async def __call__(self, *args: Any, **named: Any) -> AsyncGenerator[Any, None]:
        self._running += 1
        self.most = max(self.most, self._running)
        try:
            async for block in self._decode(*args, **named):
                yield block
        finally:
            self._running -= 1


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> Decoders:
    counted = Decoders(transcribe.decode)
    monkeypatch.setattr(transcribe, "decode", counted)
    return counted


class Gathering(ScriptedRunner):
    """Answers no request before windows of so many are here."""

    def __init__(self, requests: int) -> None:
        super().__init__()
        self._requests = requests
        self._here: set[str] = set()

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        self._here.add(ticket.request_id)
        while len(self._here) < self._requests:
            await asyncio.sleep(POLL_SECONDS)
        return await super().transcribe(window, options, ticket)


def in_room(settings: Settings, room: Room, requests: int = 1) -> Pipeline:
    """A pipeline with that room, and a model that answers none before so many requests reach it."""
    pipeline = Pipeline(settings, Gathering(requests))
    pipeline._opener._room = room
    return pipeline


async def run_all(
    pipeline: Pipeline,
    uploads: Iterable[Upload],
    request: TranscriptionRequest = REQUEST,
    priority: Priority = Priority.INTERACTIVE,
) -> None:
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(
            *(
                pipeline.transcribe(upload, request, partial(Ticket, str(number), priority))
                for number, upload in enumerate(uploads)
            )
        )


async def waiting(room: Room, task: asyncio.Task[Any]) -> None:
    """Return as soon as the task waits for room."""
    while not (room._waiting or task.done()):
        await asyncio.sleep(POLL_SECONDS)
    assert not task.done()


def stereo(path: Path, seconds: float) -> Path:
    one = write_wav(path.with_name("mono.wav"), noise(seconds))
    run_ffmpeg("-i", str(one), "-ac", "2", str(path))
    return path


def flac(path: Path, seconds: float, stated: float | None) -> Path:
    """A recording of so many seconds whose header states others, or none, as that of a live stream."""
    run_ffmpeg("-i", str(write_wav(path.with_suffix(".wav"), noise(seconds))), str(path))
    content = bytearray(path.read_bytes())
    counted = int.from_bytes(content[TOTAL_SAMPLES : TOTAL_SAMPLES + 8])
    assert counted % (1 << 36) == seconds * SAMPLE_RATE
    counted += int(((stated or 0) - seconds) * SAMPLE_RATE)
    content[TOTAL_SAMPLES : TOTAL_SAMPLES + 8] = counted.to_bytes(8)
    path.write_bytes(content)
    return path


def test_recordings_are_decoded_in_turn_and_wait_for_the_runner_together(
    settings: Settings, uploaded: Any, tmp_path: Path, decoders: Decoders
) -> None:
    path = write_wav(tmp_path / "short.wav", noise(3))
    # One can be decoded. What its sound takes afterwards leaves room for the next.
    room = room_for(3) + (REQUESTS - 1) * (room_for(3) - DECODER_BYTES)
    asyncio.run(run_all(in_room(settings, Room(room), REQUESTS), [uploaded(path)] * REQUESTS))
    assert decoders.most == 1


def test_two_channels_take_room_for_two_decoders_and_give_it_back(
    settings: Settings, uploaded: Any, tmp_path: Path
) -> None:
    path = stereo(tmp_path / "stereo.wav", 3)
    whole = room_for(3, decoders=2)
    # The left channel waits for the model before the right one is decoded.
    room = whole + (REQUESTS - 1) * (whole - DECODER_BYTES)
    asyncio.run(run_all(in_room(settings, Room(room), REQUESTS), [uploaded(path)] * REQUESTS, SPLIT))


def test_two_channels_wait_until_there_is_room_for_both(settings: Settings, uploaded: Any, tmp_path: Path) -> None:
    path = stereo(tmp_path / "stereo.wav", 3)

    async def scenario() -> None:
        room = Room(room_for(3, decoders=2))
        async with room.share(1):
            task = asyncio.create_task(run_all(in_room(settings, room), [uploaded(path)], SPLIT))
            await waiting(room, task)
        await task

    asyncio.run(scenario())


@pytest.mark.parametrize("stated", [None, 1.0])
def test_a_recording_that_is_longer_than_its_header_says_keeps_no_room(
    settings: Settings, uploaded: Any, tmp_path: Path, stated: float | None
) -> None:
    path = flac(tmp_path / "long.flac", LONGEST_SHORT + 10, stated)
    # The second one is decoded while the first one waits for the model.
    pipeline = in_room(settings, Room(room_for(stated)), 2)
    asyncio.run(run_all(pipeline, [uploaded(path), uploaded(path)]))


def test_a_long_recording_does_not_wait_for_short_ones(settings: Settings, uploaded: Any, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", noise(LONGEST_SHORT + 1))

    async def scenario() -> None:
        room = Room(room_for(None))
        async with room.share(room_for(None)):
            await run_all(in_room(settings, room), [uploaded(path)])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("content", "request_", "error"),
    [(b"no recording at all", REQUEST, UnsupportedFormat), (None, SPLIT, InvalidParameter)],
)
def test_a_file_that_is_refused_does_not_wait_for_room(
    settings: Settings,
    uploaded: Any,
    tmp_path: Path,
    content: bytes | None,
    request_: TranscriptionRequest,
    error: type[TranscriptionError],
) -> None:
    path = write_wav(tmp_path / "mono.wav", noise(3))
    if content:
        path.write_bytes(content)

    async def scenario() -> None:
        room = Room(room_for(None))
        async with room.share(room_for(None)):
            with pytest.raises(error):
                await run_all(in_room(settings, room), [uploaded(path)], request_)

    asyncio.run(scenario())


def test_few_headers_are_read_at_once(
    settings: Settings, uploaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[int] = []
    most = 0

    async def counted(upload: Upload, settings: Settings) -> Media:
        nonlocal most
        running.append(1)
        most = max(most, len(running))
        try:
            return await probe(upload, settings)
        finally:
            running.pop()

    monkeypatch.setattr(opener, "probe", counted)
    path = write_wav(tmp_path / "short.wav", noise(1))
    asyncio.run(run_all(Pipeline(settings, ScriptedRunner()), [uploaded(path)] * 2 * MOST_PROBES))
    assert most == MOST_PROBES


@pytest.mark.parametrize(
    "work",
    [
        lambda pipeline, upload: pipeline.transcribe(upload, REQUEST, as_test),
        lambda pipeline, upload: pipeline.detect_language(upload, REQUEST, as_test()),
        lambda pipeline, upload: pipeline.diarize(upload, SpeakerOptions(), SoundOptions()),
        lambda pipeline, upload: pipeline.known_voice("Ada", upload),
    ],
    ids=["transcribe", "detect_language", "diarize", "known_voice"],
)
def test_whatever_is_asked_of_a_short_recording_waits_for_room(
    settings: Settings,
    uploaded: Any,
    tmp_path: Path,
    work: Callable[[Pipeline, Upload], Coroutine[Any, Any, object]],
) -> None:
    path = tmp_path / "speech.wav"
    run_ffmpeg("-i", str(SPOKEN), "-t", "8", str(path))

    async def scenario() -> None:
        room = Room(room_for(None))
        async with asyncio.timeout(PATIENCE):
            async with room.share(room_for(None)):
                task = asyncio.create_task(work(in_room(settings, room), uploaded(path)))
                await waiting(room, task)
            await task

    asyncio.run(scenario())


def test_jobs_take_no_room(settings: Settings, uploaded: Any, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "short.wav", noise(3))

    async def scenario() -> None:
        room = Room(room_for(None))
        async with room.share(room_for(None)):
            await run_all(in_room(settings, room, REQUESTS), [uploaded(path)] * REQUESTS, priority=Priority.BACKGROUND)

    asyncio.run(scenario())


def test_a_long_recording_takes_no_room_and_one_of_unknown_length_that_of_the_longest_short_one() -> None:
    assert room_for(LONGEST_SHORT + 1) == 0
    assert room_for(None) == room_for(LONGEST_SHORT) > room_for(1) > DECODER_BYTES
