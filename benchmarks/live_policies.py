"""How others turn Whisper into live text, for `benchmarks/live.py`: their policies on the same weights and clips.

- `LocalAgreement`: whisper_streaming's, written anew after Macháček, Dabre and Bojar, "Turning Whisper into Real-Time
  Transcription System" (IJCNLP-AACL 2023). The package of that name on PyPI is another one.
- `WhisperLive`: its own code, from the package `whisper-live`, of which one module is needed and no torch:
  `pip install --no-deps --target build/peers whisper-live==0.10.0`, and `PYTHONPATH=.:build/peers`.

Both call faster-whisper one after the other for all sessions, as their servers do with one model. In simulated time,
what a policy costs beside the decode does not count, nor do the 0.1 s that WhisperLive waits when its text repeats.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE
from transcription.core.transcript import Word
from transcription.live.agreement import key
from transcription.live.events import Final, LiveEvent, Partial

PIECE_SECONDS = 0.1
SIMULATED_CORES = 2
MOST_OVERLAP = 5  # words that whisper_streaming looks for at both sides of what is confirmed
OVERLAP_SECONDS = 0.1
NEAR_SECONDS = 1.0
PROMPT_CHARACTERS = 200
NO_SPEECH = 0.9


class PeerModel:
    """faster-whisper for all sessions. simulated: a decode takes its CPU time, shared evenly by SIMULATED_CORES."""

    def __init__(self, folder: Path, *, simulated: bool) -> None:
        threads = 1 if simulated else os.cpu_count() or 1
        self._whisper = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
        self._simulated = simulated
        self._turn = asyncio.Lock()

    async def transcribe(self, samples: NDArray[np.float32], **options: Any) -> list[Any]:
        """The segments, when it is this decode's turn and it is done."""
        async with self._turn:
            started = time.process_time()
            loop = asyncio.get_running_loop()
            segments = await loop.run_in_executor(None, lambda: list(self._whisper.transcribe(samples, **options)[0]))
            if self._simulated:
                await asyncio.sleep((time.process_time() - started) / SIMULATED_CORES)
            return segments


class Policy(Protocol):
    """What to decode next, and what of it to confirm. Times in seconds of the session."""

    def feed(self, samples: NDArray[np.float32]) -> None:
        """Take audio."""

    def is_ready(self) -> bool:
        """Whether to decode now."""
        ...

    async def decode(self, model: PeerModel) -> Sequence[Word]:
        """Decode the audio so far. The words that this confirms."""
        ...

    def tentative(self) -> str:
        """The text after everything confirmed."""
        ...


class AgreedWords:
    """Confirms the words that two successive hypotheses begin with (LocalAgreement-2). Decides only."""

    def __init__(self) -> None:
        self.confirmed: list[Word] = []
        self.tentative: list[Word] = []

    def hear(self, words: Sequence[Word]) -> list[Word]:
        """Take a hypothesis. The words that it confirms."""
        end = self.confirmed[-1].end if self.confirmed else 0.0
        new = [word for word in words if word.start > end - OVERLAP_SECONDS]
        if new and self.confirmed and abs(new[0].start - end) < NEAR_SECONDS:
            new = new[self._said_again(new) :]
        count = 0
        for word, before in zip(new, self.tentative, strict=False):
            if key(word.text) != key(before.text):
                break
            count += 1
        self.confirmed += new[:count]
        self.tentative = new[count:]
        return new[:count]

    def _said_again(self, new: Sequence[Word]) -> int:
        """How many of the first new words are the last confirmed ones."""
        for count in range(1, min(MOST_OVERLAP, len(new), len(self.confirmed)) + 1):
            if [key(word.text) for word in self.confirmed[-count:]] == [key(word.text) for word in new[:count]]:
                return count
        return 0


class LocalAgreement:
    """whisper_streaming with its defaults: a second of new audio, beam 5, cut at ends of segments beyond 15 s."""

    def __init__(self, language: str | None, new_seconds: float = 1.0, longest_seconds: float = 15.0) -> None:
        self._language = language
        self._new_samples = round(new_seconds * SAMPLE_RATE)
        self._longest_seconds = longest_seconds
        self._audio = np.zeros(0, np.float32)
        self._base = 0.0  # time of the first sample
        self._seen = 0  # samples of the decode before
        self._words = AgreedWords()

    def feed(self, samples: NDArray[np.float32]) -> None:
        self._audio = np.concatenate((self._audio, samples))

    def is_ready(self) -> bool:
        return len(self._audio) - self._seen >= self._new_samples

    async def decode(self, model: PeerModel) -> Sequence[Word]:
        self._seen = len(self._audio)
        segments = await model.transcribe(
            self._audio,
            language=self._language,
            initial_prompt=self._prompt(),
            beam_size=5,
            word_timestamps=True,
            condition_on_previous_text=True,
        )
        words = [
            Word(word.word, word.start + self._base, word.end + self._base, word.probability)
            for segment in segments
            if segment.no_speech_prob <= NO_SPEECH
            for word in segment.words or ()
        ]
        confirmed = self._words.hear(words)
        if len(self._audio) > self._longest_seconds * SAMPLE_RATE:
            self._cut([segment.end + self._base for segment in segments])
        return confirmed

    def tentative(self) -> str:
        return "".join(word.text for word in self._words.tentative)

    def _prompt(self) -> str:
        """The end of the confirmed text whose audio has been cut off."""
        gone = "".join(word.text for word in self._words.confirmed if word.end <= self._base)
        return gone[-PROMPT_CHARACTERS:]

    def _cut(self, ends: Sequence[float]) -> None:
        """Forget the audio up to the last segment's end that is confirmed, the last segment excepted."""
        if not self._words.confirmed:
            return
        sure = [end for end in ends[:-1] if end <= self._words.confirmed[-1].end]
        if sure:
            samples = min(len(self._audio), round((sure[-1] - self._base) * SAMPLE_RATE))
            self._audio = self._audio[samples:]
            self._base += samples / SAMPLE_RATE
            self._seen -= samples


class WhisperLive:
    """WhisperLive with its defaults. All segments but the last are confirmed, the last after 10 equal decodes."""

    def __init__(self, language: str | None) -> None:
        self._language = language
        self._client = importlib.import_module("whisper_live.backend.base").ServeClientBase("benchmark", None)
        self._last = ""

    def feed(self, samples: NDArray[np.float32]) -> None:
        if len(samples):
            self._client.add_frames(samples)

    def is_ready(self) -> bool:
        return self._client.frames_np is not None and self._client.get_audio_chunk_for_processing()[1] >= 1.0

    async def decode(self, model: PeerModel) -> Sequence[Word]:
        client = self._client
        audio, seconds = client.get_audio_chunk_for_processing()
        if not len(audio):
            return []
        segments = await model.transcribe(audio, language=self._language, vad_filter=True)
        if not segments:
            client.timestamp_offset += seconds
            return []
        before = len(client.transcript)
        loop = asyncio.get_running_loop()
        last = await loop.run_in_executor(None, client.update_segments, segments, seconds)
        self._last = last["text"] if last else ""
        return [
            Word(f" {text}", float(segment["start"]), float(segment["end"]), 1.0)
            for segment in client.transcript[before:]
            for text in segment["text"].split()
        ]

    def tentative(self) -> str:
        return str(self._last)


POLICIES: dict[str, type[LocalAgreement] | type[WhisperLive]] = {
    "whisper_streaming": LocalAgreement,
    "WhisperLive": WhisperLive,
}


async def listen(policy: Policy, model: PeerModel, samples: NDArray[np.float32]) -> list[tuple[float, LiveEvent]]:
    """Feed a recording in real time. The events, with the seconds since its audio began.

    What is tentative at the end is part of the final text, and of no event before it.
    """
    now = asyncio.get_running_loop().time
    started, fed, text = now(), 0, ""
    events: list[tuple[float, LiveEvent]] = []
    ended = False
    while not ended:
        here = min(len(samples), round((now() - started) * SAMPLE_RATE))
        policy.feed(samples[fed:here])
        fed, ended = here, here == len(samples)
        if ended or policy.is_ready():
            words = await policy.decode(model)
            new = "".join(word.text for word in words)
            text += new
            events.append((now() - started, Partial(0, new, policy.tentative(), 0.0, 0.0, tuple(words))))
        else:
            await asyncio.sleep(PIECE_SECONDS)
    final = Final(0, text + policy.tentative(), (), (), "", 0.0, len(samples) / SAMPLE_RATE)
    events.append((now() - started, final))
    return events
