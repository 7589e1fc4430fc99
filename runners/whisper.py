"""The runner's process: one model cache, one queue, one device, behind two calls.

What BentoML 1.4.39 does, found by trying:

- `bentoml serve service:TranscriptionService` starts this service in a process of its own, which imports `service.py`
  again and finds the service by its name among the dependencies, so a factory may make it.
- Calls between the two processes are pickled onto a Unix socket: numpy arrays travel as raw bytes, dataclasses as
  dictionaries that pydantic turns back into dataclasses. JSON works too.
- An exception loses its type and message on the way, therefore `wire.Reply`.
- A caller that goes away closes its connection, which BentoML does not notice: `transcribe` watches for it.
- A killed process is replaced within seconds; calls that come meanwhile wait in the socket's backlog, calls that were
  in flight fail at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import bentoml
import numpy as np
import structlog
from bentoml import server_context
from bentoml.validators import DType

from runners.batching.device import Device
from runners.batching.layout import CUDA, available_cores, choose_placement, fixed_layout, likely_layout
from runners.batching.quarantine import JOURNAL, Journal
from runners.batching.scheduler import Scheduler
from runners.batching.tuning import LAYOUTS_FILE, Choice, LayoutStore, auto_layout, machine_key
from runners.client.interface import ModelState, RunnerState
from runners.client.wire import Reply, as_failure
from runners.decode.engine import LANGUAGE_CODES, Engine, WindowTask
from runners.models.cache import ModelCache, open_model
from runners.models.catalogue import EMBEDDED_MODEL, canonical, check_known, list_models, resolve
from transcription.core.audio import SAMPLE_RATE, WINDOW_SAMPLES
from transcription.core.errors import InvalidParameter, ServiceUnavailable, TranscriptionError
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.settings import Settings
from transcription.core.transcript import WindowResult
from transcription.system.malloc import KEEP_MEMORY
from transcription.system.thread_priority import give_way
from transcription.telemetry import metrics
from transcription.telemetry.logs import request_context
from transcription.telemetry.process_metrics import INTERVAL_SECONDS, RUNNER, GpuReading, ProcessReading, resident_bytes

RUNNER_NAME = "whisper_runner"
PRELOAD_RETRY_SECONDS = 30.0  # a hub that was out of reach may come back
LAST_ANSWERS_SECONDS = 1.0  # for the answers of a process that ends
EXIT_HANGING = 70  # EX_SOFTWARE, sysexits.h
PROBE_SECONDS = 1
PROBE_LOUDNESS = 1000  # of 32 767: soft noise

log = structlog.get_logger(__name__)

Pcm = Annotated[np.ndarray, DType("int16")]  # BentoML's way to say it, so that JSON becomes int16 too


class WhisperRunner:
    """Owns the model and nothing else. See `runners.client.interface.Runner` for what it promises."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._placement = choose_placement(settings)
        self._cores = available_cores()
        self._layout = likely_layout(self._placement.device, self._cores)
        self._layout_known = threading.Event()
        self._models: ModelCache[Engine] = ModelCache(
            settings.max_loaded_models, locate=lambda name: resolve(name, settings), load=self._open
        )
        scheduler = Scheduler(
            slots=self._layout.slots,
            max_batch=self._layout.batch,
            max_queue_seconds=settings.max_queue_seconds,
            cheap_company=self._placement.device == CUDA,
            patience_seconds=settings.batch_timeout,
        )
        self._device = Device(scheduler, self._models.lease, self, open_journal(settings.cache_dir))
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._alive = True
        self._error = ""
        self._gpus = GpuReading() if self._placement.device == CUDA else None
        self._model_memory: dict[str, int] = {}  # bytes, of every model that was ever loaded

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    def start(self) -> None:
        """Choose the layout, start the slots and load the default model, without holding up the start."""
        threading.Thread(target=self._prepare, name="prepare", daemon=True).start()
        threading.Thread(target=self._read, name="readings", daemon=True).start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def stop(self) -> None:
        """Finish what runs, refuse what waits."""
        self._stopping.set()
        self._device.stop()

    def batch_formed(self, windows: int) -> None:
        """For the device: counted under BentoML's name for it."""
        metrics.BATCH_SIZE.labels(
            runner_name=RUNNER_NAME,
            worker_index=server_context.worker_index,
            method_name="transcribe",
            service_version=server_context.bento_version,
            service_name=server_context.bento_name,
        ).observe(windows)
        metrics.BATCH_FILL.observe(windows / self._layout.batch)

    def ran_out_of_memory(self, model: str) -> None:
        """For the device: its batches are halved for a while."""
        metrics.OUT_OF_MEMORY.labels(model=model).inc()
        log.warning("device_out_of_memory", model=model)

    def hangs(self, model: str, seconds: float) -> None:
        """For the device: only a new process helps. The supervisor starts one as soon as this one ends."""
        log.critical("device_hangs", model=model, seconds=round(seconds))
        self._alive = False
        self._ready.clear()
        self._error = "The model did not answer in time; its process is being replaced. Try again in a moment."
        threading.Timer(LAST_ANSWERS_SECONDS, os._exit, (EXIT_HANGING,)).start()

    @bentoml.api  # type: ignore[untyped-decorator]
    async def transcribe(self, samples: Pcm, options: DecodeOptions, ticket: Ticket, ctx: bentoml.Context) -> Reply:
        """Decode one window. samples: int16, shape (n,), 16 kHz mono, 0 < n <= 480 000."""
        with request_context(ticket.request_id):
            return await self._reply(samples, options, ticket, ctx)

    async def _reply(self, samples: Pcm, options: DecodeOptions, ticket: Ticket, ctx: bentoml.Context) -> Reply:
        work = asyncio.ensure_future(self.decode(samples, options, ticket))
        gone = asyncio.ensure_future(_disconnected(ctx))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                # An answer for nobody: without one BentoML's time limit keeps the request, and a shutdown, waiting.
                raise ServiceUnavailable("The caller went away.")
            return Reply(result=work.result())
        except TranscriptionError as error:
            if type(error) is TranscriptionError:  # none of the expected kinds
                log.error("decode_failed", exc_info=error.__cause__)
            return Reply(failure=as_failure(error))
        finally:
            await _cancel(work, gone)

    @bentoml.api  # type: ignore[untyped-decorator]
    async def state(self) -> RunnerState:
        """What `/health` and `/models` show. Never waits for the model."""
        loaded = self._models.loaded()
        return RunnerState(
            ready=self._ready.is_set(),
            device=self._placement.device,
            compute_type=self._placement.compute_type,
            models=tuple(
                ModelState(model.name, model.on_disk, canonical(model.name) in loaded)
                for model in list_models(self._settings)
            ),
            error="" if self._ready.is_set() else self._error,
            backlog_seconds=self._device.load().backlog,
        )

    async def __is_alive__(self) -> bool:
        """For BentoML's /livez: False once a batch did not end within its deadline."""
        return self._alive

    async def __is_ready__(self) -> bool:
        """Whether the default model has decoded something since the process started."""
        return self._ready.is_set()

    async def decode(self, samples: Any, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        """Decode one window, in this process. Raises the errors of the domain."""
        task = self._checked(samples, options)
        if task.options.model not in self._models.loaded():
            # Not in a slot: a download of minutes must not hold up the windows of other models.
            await asyncio.to_thread(self._load, task.options.model)
        result = await self._device.decode(task, ticket)
        metrics.WINDOWS.labels(model=task.options.model).inc()
        if any(segment.temperature > task.options.temperatures[0] for segment in result.segments):
            metrics.FALLBACKS.labels(model=task.options.model).inc()
        return result

    def _checked(self, samples: Any, options: DecodeOptions) -> WindowTask:
        pcm = np.asarray(samples)
        if pcm.dtype != np.int16 or pcm.ndim != 1 or not 0 < len(pcm) <= WINDOW_SAMPLES:
            raise InvalidParameter(
                f"A window is 1 to {WINDOW_SAMPLES} int16 samples, not {pcm.dtype} of shape {pcm.shape}."
            )
        if options.language is not None and options.language not in LANGUAGE_CODES:
            raise InvalidParameter(
                f"'{options.language}' is not a language code. GET /languages lists them; leave language out to "
                "have it detected."
            )
        check_known(options.model, self._settings)
        return WindowTask(pcm, replace(options, model=canonical(options.model)))

    def _load(self, name: str) -> None:
        with self._models.lease(name):
            pass

    def _open(self, name: str, folder: Path) -> Engine:
        self._layout_known.wait()
        started, held = time.perf_counter(), self._memory_held()
        try:
            # CTranslate2's threads inherit the priority of the thread that loads the model.
            with ThreadPoolExecutor(1, initializer=give_way) as loader:
                engine = Engine(loader.submit(open_model, name, folder, self._placement, self._layout).result())
        except TranscriptionError:
            metrics.LOADS.labels(model=name, outcome="failed").inc()
            raise
        metrics.LOADS.labels(model=name, outcome="loaded").inc()
        metrics.LOAD_SECONDS.labels(model=name).observe(time.perf_counter() - started)
        # A model that comes back takes the memory that it left behind, so that the largest is the true one.
        self._model_memory[name] = max(self._model_memory.get(name, 0), self._memory_held() - held)
        metrics.MODEL_MEMORY.labels(model=name).set(self._model_memory[name])
        return engine

    def _memory_held(self) -> int:
        """Bytes, where models are kept."""
        return self._gpus.memory_used() if self._gpus else resident_bytes()

    def _read(self) -> None:
        """Tell Prometheus what waits and what this process holds, until it stops."""
        process = ProcessReading(RUNNER)
        metrics.CORES.set(self._cores)
        while not self._stopping.is_set():
            load = self._device.load()
            metrics.WAITING_WINDOWS.set(load.waiting)
            metrics.RUNNING_BATCHES.set(load.running)
            metrics.BACKLOG.set(load.backlog)
            metrics.LONGEST_WAIT.set(load.longest_wait)
            loaded = self._models.loaded()
            metrics.LOADED.set(len(loaded))
            for name, size in list(self._model_memory.items()):
                metrics.MODEL_MEMORY.labels(model=name).set(size if name in loaded else 0)
            process.take()
            if self._gpus:
                self._gpus.take()
            self._stopping.wait(INTERVAL_SECONDS)

    def _prepare(self) -> None:
        self.begin()
        self._preload()

    def begin(self) -> None:
        """Choose the layout and start the slots; the first window that needs a model loads it."""
        choice = self._choose_layout()
        self._layout = choice.layout
        self._layout_known.set()
        log.info("layout_chosen", layout=str(choice.layout), reason=choice.reason, **_fields(self._placement))
        self._device.start(choice.layout.slots, choice.layout.batch)

    def _choose_layout(self) -> Choice:
        text, device = self._settings.whisper_layout, self._placement.device
        if fixed := fixed_layout(text, device, self._cores):
            return Choice(fixed, f"WHISPER_LAYOUT={text}")
        name = self._settings.whisper_model
        try:
            folder = resolve(name, self._settings)
            store = LayoutStore(self._settings.cache_dir / LAYOUTS_FILE)
            key = machine_key(canonical(name), folder, self._placement, self._cores)
            if canonical(name) == EMBEDDED_MODEL and store.find(key) is None:
                # Any layout is fast with it, and who tries the service waits for the start.
                return Choice(self._layout, "the embedded model is not measured at a start")
            return auto_layout(
                lambda layout: open_model(name, folder, self._placement, layout), store, key, device, self._cores
            )
        except TranscriptionError as error:
            # Other models can be served all the same; the default one says below what is wrong with it.
            return Choice(self._layout, f"not measured: {error.message}")

    def _preload(self) -> None:
        """Load the default model and decode something with it; on failure say why and try again."""
        while not self._stopping.is_set():
            try:
                self._decode_probe()
            except TranscriptionError as error:
                self._error = error.message
                log.error("preload_failed", model=self._settings.whisper_model, error=error.message)
            except RuntimeError as error:  # what CTranslate2 raises when the device fails
                self._error = f"The model '{self._settings.whisper_model}' cannot decode: {error}"
                log.exception("preload_failed", model=self._settings.whisper_model)
            else:
                self._ready.set()
                log.info("runner_ready", model=self._settings.whisper_model)
                return
            self._stopping.wait(PRELOAD_RETRY_SECONDS)

    def _decode_probe(self) -> None:
        noise = np.random.default_rng(0).normal(0, PROBE_LOUDNESS, PROBE_SECONDS * SAMPLE_RATE).astype(np.int16)
        task = self._checked(noise, DecodeOptions(model=self._settings.whisper_model, temperatures=(0.0,)))
        with self._models.lease(task.options.model) as engine:
            engine.decode([task])


def make_whisper_runner(settings: Settings) -> bentoml.Service[WhisperRunner]:
    """The BentoML service of the runner, for `bentoml.depends`.

    Raises InvalidSettings when this machine cannot do what the settings ask.
    """
    placement = choose_placement(settings)

    class ConfiguredRunner(WhisperRunner):
        __doc__ = WhisperRunner.__doc__

        def __init__(self) -> None:
            super().__init__(settings)

    resources: dict[str, Any] = {"gpu": 1} if placement.device == CUDA else {"cpu": str(available_cores())}
    service: bentoml.Service[WhisperRunner] = bentoml.service(
        name=RUNNER_NAME,
        workers=1,
        resources=resources,
        envs=[{"name": name, "value": value} for name, value in KEEP_MEMORY.items()],
        # The queue is bounded by the scheduler, not by a number of connections.
        traffic={"timeout": settings.request_timeout},
    )(ConfiguredRunner)
    return service


def open_journal(cache_dir: Path) -> Journal | None:
    """What earlier processes of this machine died of; None, with a warning, where nothing can be written."""
    try:
        return Journal(cache_dir / JOURNAL)
    except OSError as error:
        log.warning(
            "no_journal", error=str(error), remedy="make CACHE_DIR writable: a window that kills is tried again"
        )
        return None


async def _disconnected(ctx: bentoml.Context) -> None:
    """Returns when the caller of the current request goes away."""
    while (await ctx.request.receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, TranscriptionError):
            await task


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}
