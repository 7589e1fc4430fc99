"""The peers that the service is compared with, on the same weights, in their default layout and in their best one.

Peers run in this process, without HTTP, which favours them by a few milliseconds per request. The floor runs in a
separate process with the runner's allocator settings, so that it measures what the model costs there.
"""

from __future__ import annotations

import os
import threading
import time
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
from benchmarks.plan import (
    BATCHED,
    BATCHED_WORKERS,
    FASTER_WHISPER,
    FASTER_WHISPER_WORKERS,
    WEBSERVICE,
    WEBSERVICE_BEAM,
)
from runners.placement import CPU, DeviceLayout, Placement, available_cores
from transcription.core.audio import SAMPLE_RATE, WINDOW_SAMPLES
from transcription.system.malloc import KEEP_MEMORY
from transcription.system.openmp import WAIT_PASSIVELY

DEFAULT_THREADS = 0  # faster-whisper's and CTranslate2's default: one worker with a thread per core, at most four


class Contender(Protocol):
    """Transcribes clips. May be called from any number of threads."""

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        """The transcript; incomplete if `stop` is set meanwhile."""
        ...

    def cpu_seconds(self) -> float:
        """CPU time that its processes have used so far, all threads, user and system."""
        ...


def read(segments: Iterable[Any], stop: threading.Event) -> str:
    """The text of faster-whisper's lazy segments, up to `stop`."""
    texts = []
    for segment in segments:
        texts.append(segment.text)
        if stop.is_set():
            break
    return "".join(texts)


class Peer:
    """A peer in this process, which does nothing else while one is measured."""

    def __init__(self, whisper: WhisperModel) -> None:
        self._whisper = whisper

    def cpu_seconds(self) -> float:
        return time.process_time()


class FasterWhisper(Peer):
    """`WhisperModel.transcribe` with its defaults: one thread per client, no lock; CTranslate2 queues the calls."""

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        return read(self._whisper.transcribe(str(clip.path), beam_size=beam)[0], stop)


class Batched(Peer):
    """`BatchedInferencePipeline`, created per request as speaches does. It detects speech and batches by 8."""

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        pipeline = BatchedInferencePipeline(self._whisper)
        audio = decode_audio(str(clip.path), SAMPLE_RATE)
        return read(pipeline.transcribe(audio, beam_size=beam, temperature=0.0)[0], stop)


class Webservice(Peer):
    """whisper-asr-webservice: a lock around the whole transcription, beam size 5. The file is read outside the lock."""

    def __init__(self, whisper: WhisperModel) -> None:
        super().__init__(whisper)
        self._lock = threading.Lock()

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        if beam != WEBSERVICE_BEAM:
            raise ValueError(f"whisper-asr-webservice always uses beam {WEBSERVICE_BEAM}")
        audio = decode_audio(str(clip.path), SAMPLE_RATE)
        with self._lock:
            return read(self._whisper.transcribe(audio, beam_size=beam, task="transcribe")[0], stop)


class Floor:
    """The cost of the model on whole windows: every 30 s of a clip encoded as 30 s and decoded once, and nothing else.

    Plain CTranslate2 calls in one layout, with features computed beforehand.

    Windows of all clients share one queue. Each slot takes its share, up to `layout.batch` with the same beam size.
    """

    def __init__(self, folder: Path, placement: Placement, layout: DeviceLayout) -> None:
        self._whisper = load_model(folder, placement, layout.threads, layout.slots)
        self._layout = layout
        self._features: dict[Path, list[NDArray[np.float32]]] = {}
        self._queue: deque[tuple[NDArray[np.float32], int, Future[str]]] = deque()
        self._work = threading.Condition()
        self._multilingual = self._whisper.model.is_multilingual
        tokenizer = Tokenizer(self._whisper.hf_tokenizer, self._multilingual, task="transcribe", language="en")
        self._tokenizer, self._prompt = tokenizer, self._whisper.get_prompt(tokenizer, [])
        for _ in range(layout.slots):
            threading.Thread(target=self._serve, daemon=True).start()

    def prepare(self, clip: Clip) -> None:
        """Compute the features of a clip, before anything is measured."""
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

    def cpu_seconds(self) -> float:
        return time.process_time()

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
        if self._multilingual:
            self._whisper.model.detect_language(encoded)
        results = self._whisper.model.generate(
            encoded, [self._prompt] * len(features), beam_size=beam, return_scores=True, return_no_speech_prob=True
        )
        return [str(self._tokenizer.decode(result.sequences_ids[0])) for result in results]


class FloorProcess(BaseManager):
    """The process of a `Floor`. Each calling thread is served by its own thread there."""


FloorProcess.register("Floor", Floor)


class FloorCaller:
    """Calls the floor from this process, which costs well under a millisecond."""

    def __init__(self, folder: Path, placement: Placement, layout: DeviceLayout, clips: Iterable[Clip]) -> None:
        self._process = FloorProcess(ctx=get_context("spawn"))
        with environment({**KEEP_MEMORY, **WAIT_PASSIVELY}):  # read when the process starts
            self._process.start()
        self._floor = self._process.Floor(folder, placement, layout)  # type: ignore[attr-defined]
        for clip in clips:
            self._floor.prepare(clip)

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        """The transcript. `stop` is ignored."""
        return str(self._floor.transcribe(clip, beam))

    def cpu_seconds(self) -> float:
        return float(self._floor.cpu_seconds())

    def close(self) -> None:
        """End the process."""
        self._process.shutdown()


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for processes that are started inside the block."""
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
    """Load the model in one layout."""
    return WhisperModel(
        str(folder),
        device=placement.device,
        compute_type=placement.compute_type,
        cpu_threads=threads,
        num_workers=workers,
        local_files_only=True,
    )


def load_peers(folder: Path, placement: Placement) -> dict[str, Contender]:
    """The peers. Those of one layout share a model."""
    default = load_model(folder, placement, DEFAULT_THREADS, 1)
    peers: dict[str, Contender] = {
        FASTER_WHISPER: FasterWhisper(default),
        BATCHED: Batched(default),
        WEBSERVICE: Webservice(default),
    }
    if placement.device == CPU:
        workers = load_model(folder, placement, 1, available_cores())
        peers |= {FASTER_WHISPER_WORKERS: FasterWhisper(workers), BATCHED_WORKERS: Batched(workers)}
    return peers
