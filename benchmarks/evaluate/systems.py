"""The systems that are evaluated, each in processes of its own, so that their CPU time can be told apart."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import httpx
import psutil  # type: ignore[import-untyped]
from faster_whisper import BatchedInferencePipeline, WhisperModel

from benchmarks.evaluate.references import Spoken
from formats import registry
from runners.placement import DeviceLayout, Placement
from tests.support.service import UNSHARED, local_service
from transcription.cli.local import LocalTranscriber
from transcription.cli.transcriber import RecordingRequest
from transcription.core.settings import Settings

SERVICE, IN_PROCESS = "service", "in-process"
FASTER_WHISPER, BATCHED = "faster-whisper", "BatchedInferencePipeline"
SYSTEMS = (SERVICE, IN_PROCESS, FASTER_WHISPER, BATCHED)
REQUEST_TIMEOUT = 7200.0  # seconds
MAX_DURATION = 86_400  # seconds of a recording, a day


class SystemFailed(Exception):
    """A system returned an error instead of a transcript."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A transcript. language: detected. words: empty unless they were requested."""

    language: str
    duration: float
    segments: tuple[Spoken, ...]
    words: tuple[Spoken, ...]

    @property
    def text(self) -> str:
        return " ".join(segment.text.strip() for segment in self.segments)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """name: of a folder in `root`, or the embedded model. folder: where it is.

    layout: fixed, so that the service does not measure layouts while other systems run.
    """

    name: str
    root: Path
    folder: Path
    placement: Placement
    layout: DeviceLayout

    def settings(self) -> dict[str, str]:
        """As environment variables of the service."""
        return {
            "WHISPER_MODEL": self.name,
            "WHISPER_MODEL_DIR": str(self.root),
            "WHISPER_DEVICE": self.placement.device,
            "WHISPER_COMPUTE_TYPE": self.placement.compute_type,
            "WHISPER_LAYOUT": str(self.layout),
        }


class Transcriber(Protocol):
    """Transcribes one recording at a time. The language is detected, everything else is the system's default."""

    def transcribe(self, path: Path, words: bool) -> Heard:
        """words: whether to return word times."""
        ...

    def process(self) -> int:
        """The id of the process that does the work with its descendants."""
        ...


class Service:
    """The service over HTTP. root: the id of its first process."""

    def __init__(self, url: str, root: int) -> None:
        self._http = httpx.Client(base_url=url, timeout=REQUEST_TIMEOUT, headers=UNSHARED)
        self._root = root

    def transcribe(self, path: Path, words: bool) -> Heard:
        """Raises SystemFailed and httpx.TransportError."""
        data = {"timestamp_granularity": "word" if words else "segment"}
        with path.open("rb") as file:
            response = self._http.post("/transcribe", files={"file": (path.name, file)}, data=data)
        if not response.is_success:
            raise SystemFailed(f"{path}: the service returned status {response.status_code}: {response.text}")
        return _from_json(response.json())

    def process(self) -> int:
        return self._root


class InProcess:
    """The pipeline and the model of the service, without HTTP, as in the command `transcribe`."""

    def __init__(self, model: ModelChoice, cache: Path) -> None:
        settings = {name.lower(): value for name, value in model.settings().items()}
        self._transcriber = LocalTranscriber(Settings(**{**settings, "cache_dir": cache}))

    def transcribe(self, path: Path, words: bool) -> Heard:
        json_format = registry.ResponseFormat.JSON
        parameters = {"timestamp_granularity": "word" if words else "segment"}
        request = RecordingRequest(path, path.name, (json_format,), parameters)
        return _from_json(json.loads(self._transcriber.transcribe(request, lambda step, share: None)[json_format]))

    def process(self) -> int:
        return os.getpid()


class FasterWhisper:
    """faster-whisper with its defaults. batched: `BatchedInferencePipeline` instead of `WhisperModel.transcribe`."""

    def __init__(self, model: ModelChoice, batched: bool) -> None:
        placement = model.placement
        whisper = WhisperModel(
            str(model.folder), device=placement.device, compute_type=placement.compute_type, local_files_only=True
        )
        self._transcribe = (BatchedInferencePipeline(whisper) if batched else whisper).transcribe

    def transcribe(self, path: Path, words: bool) -> Heard:
        segments, info = self._transcribe(str(path), word_timestamps=words)
        found = list(segments)
        return Heard(
            info.language,
            info.duration,
            tuple(Spoken(each.start, each.end, each.text) for each in found),
            tuple(Spoken(word.start, word.end, word.word) for each in found for word in each.words or ()),
        )

    def process(self) -> int:
        return os.getpid()


class Worker:
    """A system in a process of its own. make, arguments: create it there."""

    def __init__(self, make: Callable[..., Transcriber], *arguments: object) -> None:
        # The main thread of a new process: faster-whisper would share nothing with this one.
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_create, initargs=(make, arguments))

    def transcribe(self, path: Path, words: bool) -> Heard:
        """Raises what the system raises."""
        return self._pool.submit(_transcribe, path, words).result()

    def process(self) -> int:
        return self._pool.submit(os.getpid).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


_created: list[Transcriber] = []  # in a worker's process


def _create(make: Callable[..., Transcriber], arguments: Sequence[object]) -> None:
    _created.append(make(*arguments))


def _transcribe(path: Path, words: bool) -> Heard:
    return _created[0].transcribe(path, words)


@contextmanager
def running(names: Sequence[str], model: ModelChoice) -> Iterator[dict[str, Transcriber]]:
    """The named systems with one model each. They are loaded at the first recording, except the service."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evaluate-")))
        yield {name: stack.enter_context(_running(name, model, folder)) for name in names}


@contextmanager
def _running(name: str, model: ModelChoice, folder: Path) -> Iterator[Transcriber]:
    if name == SERVICE:
        environment: Mapping[str, str] = {
            **model.settings(),
            "MAX_DURATION": str(MAX_DURATION),
            "ENABLE_CACHE": "false",
            "MAX_QUEUE_SECONDS": "36000",  # on a busy machine a long recording would be refused
        }
        with local_service(environment, folder / "service.log") as service:
            yield Service(service.url, service.process.pid)
        return
    if name == IN_PROCESS:
        worker = Worker(InProcess, model, folder / "cache")
    else:
        worker = Worker(FasterWhisper, model, name == BATCHED)
    with closing(worker):
        yield worker


def cpu_seconds(root: int) -> float:
    """CPU time that a process, its descendants and those that have ended have used, all threads, user and system."""
    process = psutil.Process(root)
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue  # its parent has its times now
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _from_json(document: Mapping[str, Any]) -> Heard:
    """The service's format `json`."""
    return Heard(
        document["language"],
        document["duration"],
        tuple(Spoken(each["start"], each["end"], each["text"]) for each in document["segments"]),
        tuple(Spoken(each["start"], each["end"], each["word"]) for each in document.get("words", ())),
    )
