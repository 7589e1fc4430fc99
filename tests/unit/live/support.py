"""Sessions in simulated time, with a model that answers by the second of audio."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
from faster_whisper.audio import decode_audio

from benchmarks.simulated import SimulatedLoop
from tests.support.hypotheses import segment
from tests.support.media_files import SPOKEN
from transcription.core.audio import SAMPLE_RATE
from transcription.core.options import DecodeOptions
from transcription.core.transcript import WindowResult, Word
from transcription.live.options import LiveOptions, TurnDetection
from transcription.live.session import LiveSession

STEP = SAMPLE_RATE // 10


@dataclass
class Model:
    """Hears the number of each second that has passed: "0 1 2". seconds: that a decode takes."""

    seconds: float = 0.2
    errors: list[Exception] = field(default_factory=list)
    calls: list = field(default_factory=list)

    async def transcribe(self, window, options, ticket):
        self.calls.append((window, options, ticket))
        await asyncio.sleep(self.seconds)
        if self.errors:
            raise self.errors.pop(0)
        first, last = window.timeline.start, window.timeline.end
        spoken = [
            Word(f" {number}", number - first, number + 0.8 - first, 0.9)
            for number in range(int(np.ceil(first)), int(last) + 1)
            if number + 0.8 <= last
        ]
        segments = (segment(spoken),) if spoken else ()
        return WindowResult(options.language or "en", 0.95, segments)


def speech(seconds, silence=0.0):
    """A voice that does not pause, and silence after it."""
    voice = (decode_audio(str(SPOKEN), SAMPLE_RATE) * 32767).astype(np.int16)[SAMPLE_RATE // 2 : SAMPLE_RATE * 3 // 2]
    return np.concatenate(
        (np.tile(voice, 60)[: int(seconds * SAMPLE_RATE)], np.zeros(int(silence * SAMPLE_RATE), np.int16))
    )


TURNS = TurnDetection(silence_ms=700)


def options(turns=TURNS, **decode):
    return LiveOptions(DecodeOptions("demo", **decode), turns, words=True)


def live(work):
    """Run in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)


async def play(session, samples, *, real_time=True):
    for start in range(0, len(samples), STEP):
        await session.feed(samples[start : start + STEP])
        if real_time:
            await asyncio.sleep(0.1)


async def spoken(model, samples, chosen=None, *, real_time=True):
    """The events of a session that hears the samples and is then finished."""
    session = LiveSession(model, chosen or options(), "request", asyncio.get_running_loop().time)
    listening = asyncio.create_task(all_of(session))
    await play(session, samples, real_time=real_time)
    await session.finish()
    events = await listening
    await session.aclose()
    return events


async def all_of(session):
    return [event async for event in session.events()]


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]
