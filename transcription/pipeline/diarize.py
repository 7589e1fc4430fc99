"""Tells the speakers of a recording apart while it is decoded, beside the windows that are cut from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE
from transcription.core.speakers import KnownVoice, SpeakerOptions, SpeakerTurns
from transcription.core.transcript import Transcript
from transcription.pipeline.request_key import speakers_by
from transcription.pipeline.speakers import labels_of, with_speakers
from transcription.system.thread_priority import lower_priority
from transcription.telemetry.metrics import DIARIZATION_SECONDS
from transcription.telemetry.tracing import DIARIZATION, traced

if TYPE_CHECKING:
    from transcription.diarization.diarizer import Diarization, Diarizer
    from transcription.diarization.sessions import SpeakerModels

Samples = NDArray[np.int16]
Result = TypeVar("Result")

STEP_SAMPLES = 30 * SAMPLE_RATE  # given to the models at once: a second of work, then it is another recording's turn
SPEED = 28.0  # seconds of audio that are told apart in a second, on one core: 0.035 CPU-seconds each
# Blocks of the decoder, of about 1 s: 10 MB a recording. The models need 10 s for them, and that is by how much a run
# can end later than its last window.
MOST_WAITING = 300
END = np.empty(0, np.int16)

# One thread for all requests, so that the others and the API keep their cores.
_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="diarization", initializer=lower_priority)
# Another one for all live sessions: they would wait for a second of work for each file.
_LIVE_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live-diarization", initializer=lower_priority)


@cache
def speaker_models(model_dir: Path) -> SpeakerModels:
    """The models of this process, loaded at their first use. Raises ModelUnavailable."""
    # Imported here, as for voice activity detection: onnxruntime is a good part of what the API imports.
    from transcription.diarization.sessions import OnnxSpeakerModels

    return OnnxSpeakerModels(model_dir)


class SpeakerStage:
    """The speakers of one recording. Keeps at most MOST_WAITING blocks, and about 1 KB for each second before them."""

    def __init__(self, options: SpeakerOptions, model_dir: Path, heard: Sequence[str] = ()) -> None:
        """model_dir: WHISPER_MODEL_DIR. heard: what `heard` returned in an earlier run on the same recording."""
        self._options = options
        self._model_dir = model_dir
        self._earlier = heard
        self._kept = 0  # windows that `heard` has returned
        self._diarizer: Diarizer | None = None
        self._made_by = ""
        self._blocks: asyncio.Queue[Samples] = asyncio.Queue(MOST_WAITING)
        self._work = asyncio.create_task(self._listen())

    async def feed(self, block: Samples) -> None:
        """The next samples of the recording: int16, shape (n,), 16 kHz mono. Waits while there are too many.

        Raises ModelUnavailable.
        """
        putting = asyncio.ensure_future(self._blocks.put(block))
        try:
            await asyncio.wait((putting, self._work), return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
        if self._work.done():
            self._work.result()

    def heard(self) -> str:
        """What was found out since the last call, as text, so that another run can go on from there; "" for nothing.

        It begins with what computed it.
        """
        from transcription.diarization.kept import packed

        seen = self._diarizer.seen(self._kept) if self._diarizer else []
        if not seen:
            return ""
        text = packed(self._kept, seen)
        self._kept += len(seen)
        return f"{self._made_by}{text}"

    async def label(self, transcript: Transcript) -> Transcript:
        """The transcript of all that was fed, with its speakers. Raises ModelUnavailable."""
        found = await self.turns(transcript.duration)
        # In a thread: the words of hours take a while.
        return await asyncio.to_thread(with_speakers, transcript, found.turns, found.labels)

    async def turns(self, duration: float) -> SpeakerTurns:
        """Who spoke when in all that was fed. duration: of the recording, seconds. Raises ModelUnavailable."""
        await self.feed(END)
        found = await self._work
        return SpeakerTurns(found.turns, labels_for(found, self._options), duration)

    async def aclose(self) -> None:
        """Stop. What the thread is doing at this moment, a second of work, is thrown away."""
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)

    async def _listen(self) -> Diarization:
        diarizer = self._diarizer = await _in_thread(self._start)
        while len(samples := await self._next_step()):
            with traced(DIARIZATION, seconds=len(samples) / SAMPLE_RATE):
                await _in_thread(partial(diarizer.feed, samples))
        with traced(DIARIZATION):
            return await _in_thread(diarizer.finish)

    def _start(self) -> Diarizer:
        from transcription.diarization.diarizer import Diarizer
        from transcription.diarization.kept import restored

        self._made_by = "".join((*speakers_by(self._model_dir), ":"))
        own = [text.removeprefix(self._made_by) for text in self._earlier if text.startswith(self._made_by)]
        known = restored(own)
        self._kept = len(known)
        return Diarizer(speaker_models(self._model_dir), self._options, known)

    async def _next_step(self) -> Samples:
        """The next STEP_SAMPLES or a little more; fewer at the end, and none after it."""
        blocks, length = [], 0
        while length < STEP_SAMPLES and len(block := await self._blocks.get()):
            blocks.append(block)
            length += len(block)
        if length < STEP_SAMPLES:
            self._blocks.put_nowait(END)  # for the next call
        return np.concatenate(blocks) if blocks else END


async def voice_in(name: str, samples: Samples, model_dir: Path) -> KnownVoice:
    """The voice of a person in a sample: int16, shape (n,), 16 kHz mono. Raises InvalidParameter, ModelUnavailable."""

    def listen() -> KnownVoice:
        from transcription.diarization.known import known_voice

        return known_voice(name, samples, speaker_models(model_dir))

    return await _in_thread(listen)


def labels_for(found: Diarization, options: SpeakerOptions) -> dict[int, str]:
    """The name of each known speaker, and the label of each other one."""
    labels = labels_of(found.turns, options.labels)
    return {speaker: found.names[speaker] or label for speaker, label in labels.items()}


def in_live_thread(work: Callable[[], Result]) -> asyncio.Future[Result]:
    """Do it in the thread for live sessions. Cancelling what still waits there takes it out."""
    return _in_thread(work, _LIVE_THREAD)


def _in_thread(work: Callable[[], Result], thread: ThreadPoolExecutor = _THREAD) -> asyncio.Future[Result]:
    def timed() -> Result:
        started = time.perf_counter()
        try:
            return work()
        finally:
            DIARIZATION_SECONDS.inc(time.perf_counter() - started)

    return asyncio.get_running_loop().run_in_executor(thread, timed)
