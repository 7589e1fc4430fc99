"""Whom we are measured against, on the same weights: each transcribes a file as its users get it by default.

The peers are called in this process, without HTTP, which favours them by a few milliseconds a request. The floor has a
process of its own with the same allocator settings as the runner: it is what the model costs there, not what it costs
somebody else.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.audio import decode_audio, pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from benchmarks.clips import Clip
from benchmarks.plan import BATCHED, FASTER_WHISPER, WEBSERVICE, WEBSERVICE_BEAM
from runners.batching.layout import DeviceLayout, Placement
from transcription.core.audio import SAMPLE_RATE, WINDOW_SAMPLES
from transcription.system.malloc import KEEP_MEMORY

DEFAULT_THREADS = 0  # faster-whisper's and CTranslate2's default: one worker with a thread a core, four at most


class Contender(Protocol):
    """Something that transcribes. Any number of threads may call it."""

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        """The text; incomplete when `stop` is set meanwhile."""
        ...


def read(segments: Iterable[Any], stop: threading.Event) -> str:
    """The text of faster-whisper's lazy segments."""
    texts = []
    for segment in segments:
        texts.append(segment.text)
        if stop.is_set():
            break
    return "".join(texts)


class FasterWhisper:
    """`WhisperModel.transcribe` with its defaults; a thread a client, and no lock but CTranslate2's own queue."""

    def __init__(self, whisper: WhisperModel) -> None:
        self._whisper = whisper

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        return read(self._whisper.transcribe(str(clip.path), beam_size=beam)[0], stop)


class Batched:
    """`BatchedInferencePipeline`, new for every request as in speaches, which finds speech and batches by 8."""

    def __init__(self, whisper: WhisperModel) -> None:
        self._whisper = whisper

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        pipeline = BatchedInferencePipeline(self._whisper)
        audio = decode_audio(str(clip.path), SAMPLE_RATE)
        return read(pipeline.transcribe(audio, beam_size=beam, temperature=0.0)[0], stop)


class Webservice:
    """whisper-asr-webservice: one lock around the whole transcription, beam 5. Reading the file is outside of it."""

    def __init__(self, whisper: WhisperModel) -> None:
        self._whisper = whisper
        self._lock = threading.Lock()

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        if beam != WEBSERVICE_BEAM:
            raise ValueError(f"whisper-asr-webservice always uses beam {WEBSERVICE_BEAM}")
        audio = decode_audio(str(clip.path), SAMPLE_RATE)
        with self._lock:
            return read(self._whisper.transcribe(audio, beam_size=beam, task="transcribe")[0], stop)


class Floor:
    """The least that the model costs: bare CTranslate2 calls in one layout, on features made beforehand.

    Windows of all clients wait in one queue; each slot takes its share, up to `layout.batch` with one beam size.
    """

    def __init__(self, folder: Path, placement: Placement, layout: DeviceLayout) -> None:
        self._whisper = load_model(folder, placement, layout.threads, layout.slots)
        self._layout = layout
        self._features: dict[Path, list[NDArray[np.float32]]] = {}
        self._queue: deque[tuple[NDArray[np.float32], int, Future[str]]] = deque()
        self._work = threading.Condition()
        tokenizer = Tokenizer(self._whisper.hf_tokenizer, True, task="transcribe", language="en")
        self._tokenizer, self._prompt = tokenizer, self._whisper.get_prompt(tokenizer, [])
        for _ in range(layout.slots):
            threading.Thread(target=self._serve, daemon=True).start()

    def prepare(self, clip: Clip) -> None:
        """Compute the features of a clip, outside of any measurement."""
        audio = decode_audio(str(clip.path), SAMPLE_RATE)
        starts = range(0, len(audio), WINDOW_SAMPLES)
        features = (self._whisper.feature_extractor(audio[start : start + WINDOW_SAMPLES]) for start in starts)
        self._features[clip.path] = [pad_or_trim(mel[:, :-1]) for mel in features]

    def transcribe(self, clip: Clip, beam: int) -> str:
        futures: list[Future[str]] = [Future() for _ in self._features[clip.path]]
        with self._work:
            for features, future in zip(self._features[clip.path], futures, strict=True):
                self._queue.append((features, beam, future))
            self._work.notify_all()
        return "".join(future.result() for future in futures)

    def _serve(self) -> None:
        while True:
            batch = self._take()
            texts = self._decode(np.stack([features for features, _, _ in batch]), batch[0][1])
            for text, (_, _, future) in zip(texts, batch, strict=True):
                future.set_result(text)

    def _take(self) -> list[tuple[NDArray[np.float32], int, Future[str]]]:
        with self._work:
            while not self._queue:
                self._work.wait()
            share = min(self._layout.batch, -(-len(self._queue) // self._layout.slots))
            batch = [self._queue.popleft()]
            while len(batch) < share and self._queue[0][1] == batch[0][1]:
                batch.append(self._queue.popleft())
        return batch

    def _decode(self, features: NDArray[np.float32], beam: int) -> list[str]:
        encoded = self._whisper.encode(features)
        self._whisper.model.detect_language(encoded)
        results = self._whisper.model.generate(
            encoded, [self._prompt] * len(features), beam_size=beam, return_scores=True, return_no_speech_prob=True
        )
        return [str(self._tokenizer.decode(result.sequences_ids[0])) for result in results]


class FloorProcess(BaseManager):
    """Holds a `Floor`; every thread that calls it has a thread of its own there."""


FloorProcess.register("Floor", Floor)


class FloorCaller:
    """The floor, from this process. The few bytes of a call cost well under a millisecond."""

    def __init__(self, folder: Path, placement: Placement, layout: DeviceLayout, clips: Iterable[Clip]) -> None:
        self._process = FloorProcess(ctx=get_context("spawn"))
        with environment(KEEP_MEMORY):  # read when the process starts
            self._process.start()
        self._floor = self._process.Floor(folder, placement, layout)  # type: ignore[attr-defined]
        for clip in clips:
            self._floor.prepare(clip)

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        """Cannot be stopped: what it has begun it ends."""
        return str(self._floor.transcribe(clip, beam))

    def close(self) -> None:
        """End its process."""
        self._process.shutdown()


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for processes that start meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def load_model(folder: Path, placement: Placement, threads: int, workers: int) -> WhisperModel:
    """The model in one layout."""
    return WhisperModel(
        str(folder),
        device=placement.device,
        compute_type=placement.compute_type,
        cpu_threads=threads,
        num_workers=workers,
        local_files_only=True,
    )


def load_peers(folder: Path, placement: Placement) -> dict[str, Contender]:
    """Everyone but the service and the floor. They share one model, whose layout they all leave at its default."""
    default = load_model(folder, placement, DEFAULT_THREADS, 1)
    return {FASTER_WHISPER: FasterWhisper(default), BATCHED: Batched(default), WEBSERVICE: Webservice(default)}
