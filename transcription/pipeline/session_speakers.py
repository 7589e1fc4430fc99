"""The speakers of a live session, utterance by utterance, in a thread beside its decodes.

The windows of an utterance are cut like those of a file, from its start, while it lasts; the last one follows its end.
How long that takes does not depend on how long the utterance is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from transcription.core.audio import SAMPLE_RATE
from transcription.core.speakers import Turn
from transcription.diarization.powerset import FRAME_SHIFT
from transcription.diarization.windows import SoundWindow, WindowCutter
from transcription.pipeline.diarize import Samples, in_live_thread, speaker_models

if TYPE_CHECKING:
    from transcription.diarization.observations import Observation
    from transcription.diarization.online import OnlineSpeakers

MOST_WAITING = 4  # windows of a session, 20 s


@dataclass(slots=True)
class Sound:
    """The sound of an utterance. start: its first sample in the session. end: the one after its last so far."""

    start: int
    end: int
    cutter: WindowCutter = field(default_factory=WindowCutter)
    seen: list[asyncio.Future[Observation]] = field(default_factory=list)


class SessionSpeakers:
    """Tells the speakers of one session apart. For one event loop.

    model_dir: WHISPER_MODEL_DIR, whose models are loaded with the first utterance. most: speakers, 1..MAX_SPEAKERS.
    """

    def __init__(self, model_dir: Path, most: int) -> None:
        self._model_dir = model_dir
        self._most = most
        self._online: OnlineSpeakers | None = None
        self._waiting: deque[asyncio.Future[Observation]] = deque()

    def feed(self, sound: Sound, samples: Samples, voice_end: int) -> None:
        """More of an utterance: int16, shape (n,), 16 kHz mono. voice_end: the sample after the last voice."""
        sound.end += len(samples)
        self._see(sound, sound.cutter.feed(samples), voice_end)

    def finish(self, sound: Sound, voice_end: int) -> None:
        """The utterance has ended."""
        self._see(sound, sound.cutter.finish(), voice_end)

    async def keep_up(self) -> None:
        """Wait while more than MOST_WAITING windows wait."""
        while len(self._waiting) > MOST_WAITING:
            await asyncio.wait((self._waiting[0],))
            self._drop_done()

    async def turns(self, sound: Sound) -> tuple[Turn, ...]:
        """Who speaks when in an utterance that is finished, in the session's time, with numbers in the session.

        To be called for one utterance after the other. Raises ModelUnavailable.
        """
        seen = [await each for each in sound.seen]
        turns = await in_live_thread(partial(self._turns, seen))
        start = sound.start / SAMPLE_RATE
        return tuple(Turn(turn.start + start, turn.end + start, turn.speaker) for turn in turns)

    def close(self) -> None:
        """Give up what waits."""
        while self._waiting:
            self._waiting.popleft().cancel()

    def _see(self, sound: Sound, windows: Iterable[SoundWindow], voice_end: int) -> None:
        """Have the models see the windows, but for those after the last voice."""
        for window in windows:
            if sound.start + window.first_frame * FRAME_SHIFT < voice_end:
                seeing = in_live_thread(partial(self._observation, window))
                seeing.add_done_callback(_retrieve)
                sound.seen.append(seeing)
                self._waiting.append(seeing)
        self._drop_done()

    def _drop_done(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()

    def _observation(self, window: SoundWindow) -> Observation:
        # Imported here, as for files: onnxruntime is a good part of what the API imports.
        from transcription.diarization.observations import observe

        return observe(window, speaker_models(self._model_dir))

    def _turns(self, seen: list[Observation]) -> tuple[Turn, ...]:
        from transcription.diarization.online import OnlineSpeakers

        self._online = self._online or OnlineSpeakers(self._most)
        return self._online.turns(seen)


def _retrieve(seeing: asyncio.Future[Observation]) -> None:
    """Take the error out of a future, or asyncio logs it if the session is closed before it is awaited."""
    if not seeing.cancelled():
        seeing.exception()
