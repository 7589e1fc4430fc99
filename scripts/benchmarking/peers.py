"""Whom we are measured against, on the same weights: each transcribes a file as its users get it by default.

The peers are called in this process, without HTTP, which favours them by a few milliseconds a request.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.audio import decode_audio, pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from runners.layout import Layout, Placement
from scripts.benchmarking.clips import Clip
from scripts.benchmarking.plan import BATCHED, FASTER_WHISPER, FLOOR, WEBSERVICE, WEBSERVICE_BEAM
from transcript import SAMPLE_RATE, WINDOW_SAMPLES

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

    Windows of all clients wait in one queue; each slot takes up to `layout.batch` of them with one beam size.
    """

    def __init__(self, whisper: WhisperModel, layout: Layout) -> None:
        self._whisper = whisper
        self._batch = layout.batch
        self._features: dict[Path, list[NDArray[np.float32]]] = {}
        self._queue: queue.SimpleQueue[tuple[NDArray[np.float32], int, Future[str]]] = queue.SimpleQueue()
        tokenizer = Tokenizer(whisper.hf_tokenizer, True, task="transcribe", language="en")
        self._tokenizer, self._prompt = tokenizer, whisper.get_prompt(tokenizer, [])
        self._getting = threading.Lock()
        self._left: tuple[NDArray[np.float32], int, Future[str]] | None = None
        for _ in range(layout.slots):
            threading.Thread(target=self._serve, daemon=True).start()

    def prepare(self, clip: Clip) -> None:
        """Compute the features of a clip, outside of any measurement."""
        audio = decode_audio(str(clip.path), SAMPLE_RATE)
        starts = range(0, len(audio), WINDOW_SAMPLES)
        features = (self._whisper.feature_extractor(audio[start : start + WINDOW_SAMPLES]) for start in starts)
        self._features[clip.path] = [pad_or_trim(mel[:, :-1]) for mel in features]

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        waiting: list[Future[str]] = []
        for features in self._features[clip.path]:
            future: Future[str] = Future()
            self._queue.put((features, beam, future))
            waiting.append(future)
        if stop.is_set():
            return ""
        return "".join(future.result() for future in waiting)

    def _serve(self) -> None:
        while True:
            batch = self._take()
            texts = self._decode(np.stack([features for features, _, _ in batch]), batch[0][1])
            for text, (_, _, future) in zip(texts, batch, strict=True):
                future.set_result(text)

    def _take(self) -> list[tuple[NDArray[np.float32], int, Future[str]]]:
        with self._getting:
            batch = [self._left or self._queue.get()]
            self._left = None
            while len(batch) < self._batch and not self._queue.empty():
                item = self._queue.get()
                if item[1] != batch[0][1]:
                    self._left = item
                    break
                batch.append(item)
        return batch

    def _decode(self, features: NDArray[np.float32], beam: int) -> list[str]:
        encoded = self._whisper.encode(features)
        self._whisper.model.detect_language(encoded)
        results = self._whisper.model.generate(
            encoded, [self._prompt] * len(features), beam_size=beam, return_scores=True, return_no_speech_prob=True
        )
        return [str(self._tokenizer.decode(result.sequences_ids[0])) for result in results]


def load_peers(folder: Path, placement: Placement, layout: Layout, clips: Iterable[Clip]) -> dict[str, Contender]:
    """Everyone but the service. The three peers share one model, whose layout they all leave at its default."""

    def load(threads: int, workers: int) -> WhisperModel:
        return WhisperModel(
            str(folder),
            device=placement.device,
            compute_type=placement.compute_type,
            cpu_threads=threads,
            num_workers=workers,
            local_files_only=True,
        )

    default = load(DEFAULT_THREADS, 1)
    floor = Floor(load(layout.threads, layout.slots), layout)
    for clip in clips:
        floor.prepare(clip)
    return {
        FASTER_WHISPER: FasterWhisper(default),
        BATCHED: Batched(default),
        WEBSERVICE: Webservice(default),
        FLOOR: floor,
    }
