"""Prometheus metrics of the service. `/metrics` serves them with BentoML's own, for every process on the machine.

Counters of a process that has died are kept, so that they never decrease; its gauges are dropped
(`forget_dead_processes`). Labels have few values: installed models, Whisper's languages, kinds of error; never a value
that a client can choose freely.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, multiprocess, start_http_server

from transcription.core.settings import InvalidSettings, Settings

# Seconds, as in configuration.yaml. The range is wide: a transcription takes longer the longer its recording is.
DURATIONS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
LIVE_DURATIONS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
FACTORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SHARES = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)

# Transcripts
ANSWERS = Counter(
    "transcription_answers",
    "Transcripts returned, by source: hit (from the cache), join (of an identical request), miss or bypass",
    ("source",),
)
TRANSCRIPTS = Counter("transcription_transcripts", "Recordings transcribed", ("model", "language", "task"))
AUDIO_SECONDS = Counter("transcription_audio_seconds", "Seconds of audio transcribed", ("model",))
PROCESSING_SECONDS = Histogram(
    "transcription_processing_seconds",
    "Time from the first decoded byte to the transcript, in seconds",
    ("model",),
    buckets=DURATIONS,
)
REAL_TIME_FACTOR = Histogram(
    "transcription_real_time_factor",
    "Processing time per second of audio, including time in the queue",
    ("model",),
    buckets=FACTORS,
)
DIARIZATION_SECONDS = Counter(
    "transcription_diarization_seconds", "Time spent on telling speakers apart, in seconds; one thread per process"
)
FAILURES = Counter("transcription_failures", "Recordings that could not be transcribed, by kind of error", ("reason",))
HALLUCINATIONS = Counter(
    "transcription_hallucinations",
    "Segments that the hallucination guard flagged, by reason and action",
    ("reason", "action"),
)
ACTIVE = Gauge("transcription_active", "Recordings being transcribed", multiprocess_mode="livesum")

# The runner
# Name, labels and powers of two as in BentoML 1.4.39 for batchable methods, so that its dashboards show our batches.
BATCH_SIZE = Histogram(
    "bentoml_service_adaptive_batch_size",
    "Service adaptive batch size",
    ("runner_name", "worker_index", "method_name", "service_version", "service_name"),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
BATCH_FILL = Histogram(
    "transcription_batch_fill_ratio", "Windows in a batch divided by the largest batch size", buckets=SHARES
)
WINDOWS = Counter("transcription_windows", "Windows decoded", ("model",))
FALLBACKS = Counter(
    "transcription_fallbacks", "Windows decoded again, in part or whole, at a higher temperature", ("model",)
)
FULL_CONTEXTS = Counter(
    "transcription_full_contexts",
    "Parts of windows decoded again with the encoder's full context, because the text or the language was doubtful",
    ("model",),
)
OUT_OF_MEMORY = Counter(
    "transcription_out_of_memory",
    "Batches that ran out of memory on the device; each is retried as two halves",
    ("model",),
)
BATCHES = Counter("transcription_batches", "Batches begun, by number of the GPU; 0 is a CPU, too", ("device",))
WAITING_WINDOWS = Gauge("transcription_waiting_windows", "Windows in the runner's queue", multiprocess_mode="livesum")
RUNNING_BATCHES = Gauge("transcription_running_batches", "Batches being decoded", multiprocess_mode="livesum")
BACKLOG = Gauge(
    "transcription_backlog_seconds",
    "Estimated wait of a new interactive request, in seconds",
    multiprocess_mode="livemax",
)
LONGEST_WAIT = Gauge(
    "transcription_longest_wait_seconds",
    "Age of the oldest waiting request, in seconds",
    multiprocess_mode="livemax",
)
POOL_RUNNERS = Gauge(
    "transcription_pool_runners", "Runners of the pool that take windows from this process", multiprocess_mode="livemin"
)
POOL_RETRIES = Counter(
    "transcription_pool_retries",
    "Windows sent to another runner, by reason: lost or refused",
    ("reason",),
)
LOADS = Counter(
    "transcription_model_loads", "Attempts to load a model, by outcome: loaded or failed", ("model", "outcome")
)
LOAD_SECONDS = Histogram(
    "transcription_model_load_seconds", "Time to load a model, in seconds", ("model",), buckets=DURATIONS
)
LOADED = Gauge("transcription_loaded_models", "Models in memory", multiprocess_mode="livesum")
MODEL_MEMORY = Gauge(
    "transcription_model_memory_bytes",
    "Memory that loading the model took, of the GPU or else of the process; 0 once the model is unloaded",
    ("model",),
    multiprocess_mode="livemax",
)

# Live sessions
LIVE_SESSIONS = Gauge("transcription_live_sessions", "Open live sessions", multiprocess_mode="livesum")
LIVE_REFUSED = Counter(
    "transcription_live_refused_sessions", "Live sessions that were refused, by kind of error", ("reason",)
)
LIVE_AUDIO_SECONDS = Counter("transcription_live_audio_seconds", "Seconds of audio of live sessions")
LIVE_TICK_SECONDS = Histogram(
    "transcription_live_tick_seconds",
    "Time from a tick of a live session to its hypothesis, in seconds",
    buckets=LIVE_DURATIONS,
)
LIVE_CONFIRM_SECONDS = Histogram(
    "transcription_live_confirm_seconds",
    "Audio of a live session between the end of a word and the end of what had arrived when it was confirmed, seconds",
    buckets=LIVE_DURATIONS,
)
LIVE_FINAL_SECONDS = Histogram(
    "transcription_live_final_seconds",
    "Time from the end of an utterance to its final text, in seconds",
    buckets=LIVE_DURATIONS,
)
LIVE_REAL_TIME_FACTOR = Histogram(
    "transcription_live_real_time_factor",
    "Time that the completed decodes of an utterance took per second of its audio, including time in the queue",
    buckets=FACTORS,
)
LIVE_EARLY_DECODES = Counter(
    "transcription_live_early_decodes",
    "Last decodes begun before the pause was long enough, by outcome: used, redone (failed, or in another language) or "
    "discarded",
    ("outcome",),
)
LIVE_DROPPED_TICKS = Counter(
    "transcription_live_dropped_ticks", "Ticks of live sessions that a newer one replaced in the queue"
)

# Jobs
JOBS = Gauge("transcription_jobs", "Jobs in the store, by status", ("status",), multiprocess_mode="livemostrecent")
OLDEST_JOB = Gauge(
    "transcription_oldest_job_seconds", "Age of the oldest queued job, in seconds", multiprocess_mode="livemostrecent"
)
ATTEMPTS = Counter(
    "transcription_job_attempts",
    "Attempts to run a job, by outcome: completed, failed, retried or interrupted",
    ("outcome",),
)
WEBHOOK_TRIES = Counter(
    "transcription_webhook_tries",
    "Attempts to deliver a webhook, by outcome: delivered, failed (retried later) or given_up",
    ("outcome",),
)

# Readers
STALLED_READERS = Counter(
    "transcription_stalled_readers", "Connections closed because their client stopped reading its response"
)
STREAMS = Gauge("transcription_event_streams", "Open streams of a job's events", multiprocess_mode="livesum")

# Background tasks, see transcription/telemetry/background.py
BACKGROUND_UP = Gauge(
    "transcription_background_task_up",
    "Whether a background task is running; 0 while it waits to be started again",
    ("task",),
    multiprocess_mode="livemin",
)
BACKGROUND_RESTARTS = Counter(
    "transcription_background_restarts", "Background tasks that ended and were started again", ("task",)
)
BACKGROUND_ERRORS = Counter(
    "transcription_background_errors",
    "Errors with one item of a background task, which went on with the next one",
    ("task",),
)

# Resources. The label `process` is api, runner or worker.
RESIDENT = Gauge(
    "transcription_process_resident_bytes",
    "Resident memory of the process, in bytes",
    ("process",),
    multiprocess_mode="livesum",
)
CPU_SECONDS = Counter(
    "transcription_process_cpu_seconds", "CPU time of the process, user and system, in seconds", ("process",)
)
DESCRIPTORS = Gauge(
    "transcription_process_open_descriptors", "Open file descriptors", ("process",), multiprocess_mode="livesum"
)
MEMORY_USED = Gauge(
    "transcription_memory_used_ratio",
    "Used share of the container's memory limit, or of the machine's memory without a limit",
    multiprocess_mode="livemostrecent",
)
GPU_BUSY = Gauge(
    "transcription_gpu_busy_ratio", "Share of time in which the GPU was busy", ("gpu",), multiprocess_mode="livemax"
)
GPU_MEMORY_USED = Gauge(
    "transcription_gpu_memory_used_bytes",
    "Used memory of the GPU, by all processes, in bytes",
    ("gpu",),
    multiprocess_mode="livemax",
)
GPU_MEMORY = Gauge(
    "transcription_gpu_memory_bytes", "Total memory of the GPU, in bytes", ("gpu",), multiprocess_mode="livemax"
)
CORES = Gauge("transcription_cpu_cores", "CPU cores available to the model", multiprocess_mode="livemax")
DISK_FREE = Gauge(
    "transcription_disk_free_bytes",
    "Free space on the disk of the folder, in bytes",
    ("folder",),
    multiprocess_mode="livemostrecent",
)
DISK_SIZE = Gauge(
    "transcription_disk_size_bytes",
    "Size of the disk of the folder, in bytes",
    ("folder",),
    multiprocess_mode="livemostrecent",
)


def serve_metrics(settings: Settings, registry: CollectorRegistry = REGISTRY) -> None:
    """Serve GET /metrics on METRICS_PORT until the process ends. Raises InvalidSettings if the port is taken."""
    try:
        start_http_server(settings.metrics_port, settings.host, registry)
    except OSError as error:
        raise InvalidSettings(
            f"Invalid settings:\n  METRICS_PORT: {settings.metrics_port} cannot be opened ({error.strerror}). Set "
            "another port, or 0 to disable it."
        ) from None


def forget_dead_processes(folder: Path) -> None:
    """Drop the gauges of processes that have ended; BentoML keeps those of a process that was killed.

    folder: PROMETHEUS_MULTIPROC_DIR.
    """
    for pid in set(_owners(folder)):
        if not psutil.pid_exists(pid):
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _owners(folder: Path) -> Iterator[int]:
    for path in folder.glob("gauge_live*_*.db"):
        number = path.stem.rpartition("_")[2]
        if number.isdigit() and int(number) != os.getpid():
            yield int(number)
