"""A device and the models on it, inside this process: loads, chooses the layout, preloads and decodes.

The same host serves the BentoML runner (`runners/whisper.py`), a Celery worker and the command `transcribe`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import structlog

from runners.batching.delivery import ORDINARY, Delivery
from runners.batching.device import Device, Load
from runners.batching.layout import likely_layout
from runners.batching.measuring import Subject, measure_in_background
from runners.batching.quarantine import open_journal
from runners.batching.scheduler import Scheduler
from runners.client.interface import ModelState, RunnerState
from runners.decode.engine import Engine, WindowTask
from runners.decode.tokenizers import LANGUAGE_CODES
from runners.device_metrics import DeviceMetrics
from runners.loader import ModelLoader
from runners.models.cache import ModelCache
from runners.models.catalogue import canonical, check_known, check_served, is_served, list_models, resolve
from runners.placement import CUDA, available_cores, choose_placement
from runners.start_layout import choose_start, layout_store
from transcription.core.audio import SAMPLE_RATE, WINDOW_SAMPLES, Window
from transcription.core.errors import InvalidParameter, TranscriptionError
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.settings import Settings
from transcription.core.transcript import WindowResult
from transcription.telemetry import metrics
from transcription.telemetry.process_metrics import GpuMetrics

PRELOAD_RETRY_SECONDS = 30.0  # the model hub may be reachable again by then
PROBE_SECONDS = 1
PROBE_LOUDNESS = 1000  # standard deviation of the noise, of 32 767
LAST_ANSWERS_SECONDS = 1.0  # for the answers of a process that is about to exit
EXIT_HANGING = 70  # EX_SOFTWARE, sysexits.h

log = structlog.get_logger(__name__)


class ModelHost:
    """Implements `runners.client.interface.Runner` within this process: one queue, one device, one model cache.

    When a batch has not ended within its deadline, this process can decode nothing more. It then fails the waiting
    windows and exits, so that its supervisor replaces it.
    Raises InvalidSettings when this machine cannot do what the settings ask.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._placement = choose_placement(settings)
        self._cores = available_cores()
        self._likely_layout = likely_layout(self._placement.device, self._cores)
        self._gpus = GpuMetrics() if self._placement.device == CUDA else None
        self._loader = ModelLoader(self._placement, self._gpus)
        self._models: ModelCache[tuple[Engine, ...]] = ModelCache(
            settings.max_loaded_models, locate=lambda name: resolve(name, settings), load=self._loader.load
        )
        scheduler = Scheduler(
            slots=self._likely_layout.slots * len(self._placement.numbers),
            max_batch=self._likely_layout.batch,
            max_queue_seconds=settings.max_queue_seconds,
            cheap_batching=self._placement.device == CUDA,
            patience_seconds=settings.batch_timeout,
        )
        self._metrics = DeviceMetrics(
            self._placement.numbers,
            self._cores,
            self._gpus,
            self._models.loaded,
            self._loader.memory,
            on_hang=self._hung,
        )
        self._device = Device(scheduler, self._models.lease, self._metrics, open_journal(settings.cache_dir))
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._alive = True
        self._error = ""
        self._unmeasured = ""  # see `Start`

    @property
    def alive(self) -> bool:
        """False once a batch has not ended within its deadline."""
        return self._alive

    @property
    def ready(self) -> bool:
        """Whether the default model has decoded something since the process started."""
        return self._ready.is_set()

    @property
    def load(self) -> Load:
        """The load at this moment. Cheaper than the state, which looks for models on the disk."""
        return self._device.load()

    def start(self) -> None:
        """Choose the layout, start the slots and load the default model, all in the background."""
        threading.Thread(target=self._prepare, name="prepare", daemon=True).start()
        threading.Thread(
            target=self._metrics.export_until, args=(self._stopping, self._device.load), name="metrics", daemon=True
        ).start()

    def begin(self) -> None:
        """Choose the layout and start the slots; the first window that needs a model loads it. Blocks."""
        start = choose_start(self._settings, self._placement, self._cores)
        choice, self._unmeasured = start.choice, start.unmeasured
        self._loader.use(choice.layout)
        log.info("layout_chosen", layout=str(choice.layout), reason=choice.reason, **asdict(self._placement))
        self._device.start(choice.layout.slots, choice.layout.batch, len(self._placement.numbers))

    def stop(self, *, wait: bool = True) -> None:
        """Finish the running batches and refuse the waiting windows. wait: False if the process ends now."""
        self._stopping.set()
        self._device.stop(wait=wait)

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        """Decode one window. Cancelling takes it out of the queue. Raises the errors listed by the interface."""
        return await self.decode(window.samples, options, ticket)

    async def decode(
        self, samples: Any, options: DecodeOptions, ticket: Ticket, delivery: Delivery = ORDINARY
    ) -> WindowResult:
        """Decode one window. samples: int16, shape (n,), 16 kHz mono, 0 < n <= 480 000. Raises as `transcribe`."""
        task = self._checked(samples, options)
        if task.options.model not in self._models.loaded():
            # Outside the slots: a download of minutes must not hold up the windows of other models.
            await asyncio.to_thread(self._models.load, task.options.model)
        result = await self._device.decode(task, ticket, delivery)
        metrics.WINDOWS.labels(model=task.options.model).inc()
        if any(segment.temperature > task.options.temperatures[0] for segment in result.segments):
            metrics.FALLBACKS.labels(model=task.options.model).inc()
        return result

    async def state(self) -> RunnerState:
        """The state that `/health` and `/models` show. Never waits for the model."""
        loaded = self._models.loaded()
        return RunnerState(
            ready=self.ready,
            device=self._placement.device,
            compute_type=self._placement.compute_type,
            models=tuple(
                ModelState(model.name, model.on_disk, canonical(model.name) in loaded)
                for model in list_models(self._settings)
                if is_served(model.name, self._settings)
            ),
            error="" if self.ready else self._error,
            backlog_seconds=self.load.backlog,
        )

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
        check_served(options.model, self._settings)
        return WindowTask(pcm, replace(options, model=canonical(options.model)))

    def _prepare(self) -> None:
        """Choose the layout, then load the default model and decode a probe; report a failure and retry."""
        name = self._settings.whisper_model
        begun = False
        while not self._stopping.is_set():
            try:
                if not begun:
                    self.begin()
                    begun = True
                self._decode_probe()
            except TranscriptionError as error:
                self._error = error.message
                log.error("preload_failed", model=name, error=error.message)
            except Exception as error:  # CTranslate2 raises RuntimeError when the device fails
                self._error = f"The model '{name}' cannot decode: {error}"
                log.exception("preload_failed", model=name)
            else:
                self._ready.set()
                log.info("runner_ready", model=name)
                self._measure_layout()
                return
            self._stopping.wait(PRELOAD_RETRY_SECONDS)

    def _measure_layout(self) -> None:
        """Have the layout measured for the next start, if that is due."""
        if not self._unmeasured:
            return
        name = canonical(self._settings.whisper_model)
        folder = resolve(name, self._settings)
        measure_in_background(
            Subject(self._unmeasured, self._cores, self._likely_layout),
            layout_store(self._settings),
            [name, self._placement.device, self._placement.compute_type, str(folder)],
            lambda: self._device.load().is_busy,
            self._stopping,
            self._settings.memory_limit_percent,
        )

    def _decode_probe(self) -> None:
        noise = np.random.default_rng(0).normal(0, PROBE_LOUDNESS, PROBE_SECONDS * SAMPLE_RATE).astype(np.int16)
        task = self._checked(noise, DecodeOptions(model=self._settings.whisper_model, temperatures=(0.0,)))
        with self._models.lease(task.options.model) as engines:
            for engine in engines:
                engine.decode([task])

    def _hung(self) -> None:
        self._alive = False
        self._ready.clear()
        self._error = "The model did not answer in time; its process is being replaced. Try again in a moment."
        threading.Timer(LAST_ANSWERS_SECONDS, os._exit, (EXIT_HANGING,)).start()
