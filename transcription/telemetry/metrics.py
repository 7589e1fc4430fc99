"""What Prometheus is told beside BentoML's own figures; `/metrics` shows both, of every process on the machine.

Counters of a process that died stay, so that they never go backwards; gauges of it go (`forget_dead_processes`). Labels
have few values: models on disk, languages of Whisper, names of errors; never anything a client makes up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, multiprocess, start_http_server

from transcription.core.settings import InvalidSettings, Settings

# Seconds. As in configuration.yaml: a transcription takes as long as its recording is.
DURATIONS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
FACTORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SHARES = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)

# Transcripts, counted once however many share the work
ANSWERS = Counter(
    "transcription_answers",
    "Transcripts given out: hit (stored), join (shared), miss or bypass",
    ("source",),
)
TRANSCRIPTS = Counter("transcription_transcripts", "Recordings transcribed", ("model", "language", "task"))
AUDIO_SECONDS = Counter("transcription_audio_seconds", "Seconds of audio transcribed", ("model",))
PROCESSING_SECONDS = Histogram(
    "transcription_processing_seconds", "From the first byte decoded to the transcript", ("model",), buckets=DURATIONS
)
REAL_TIME_FACTOR = Histogram(
    "transcription_real_time_factor",
    "Seconds of work a second of audio, with its queue",
    ("model",),
    buckets=FACTORS,
)
FAILURES = Counter("transcription_failures", "Recordings that got no transcript, by the error", ("reason",))
HALLUCINATIONS = Counter(
    "transcription_hallucinations", "Segments that the hallucination guard condemned", ("reason", "action")
)
ACTIVE = Gauge("transcription_active", "Recordings that are worked on", multiprocess_mode="livesum")

# The model's process
# Name, labels and powers of two as in BentoML 1.4.39 for batchable methods, so that its dashboards show our batches.
BATCH_SIZE = Histogram(
    "bentoml_service_adaptive_batch_size",
    "Service adaptive batch size",
    ("runner_name", "worker_index", "method_name", "service_version", "service_name"),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
BATCH_FILL = Histogram("transcription_batch_fill_ratio", "Windows of a batch over its limit", buckets=SHARES)
WINDOWS = Counter("transcription_windows", "Windows decoded", ("model",))
FALLBACKS = Counter("transcription_fallbacks", "Windows with a part decoded at a higher temperature", ("model",))
OUT_OF_MEMORY = Counter(
    "transcription_out_of_memory", "Batches that the device had no memory for; they are retried in halves", ("model",)
)
WAITING_WINDOWS = Gauge("transcription_waiting_windows", "Windows in the queue", multiprocess_mode="livesum")
RUNNING_BATCHES = Gauge("transcription_running_batches", "Batches on the device", multiprocess_mode="livesum")
BACKLOG = Gauge(
    "transcription_backlog_seconds", "Estimated wait of a new interactive request", multiprocess_mode="livemax"
)
LONGEST_WAIT = Gauge(
    "transcription_longest_wait_seconds",
    "For so long the request that waits longest was not served",
    multiprocess_mode="livemax",
)
LOADS = Counter("transcription_model_loads", "Models loaded into memory: loaded or failed", ("model", "outcome"))
LOAD_SECONDS = Histogram("transcription_model_load_seconds", "Time to load a model", ("model",), buckets=DURATIONS)
LOADED = Gauge("transcription_loaded_models", "Models in memory", multiprocess_mode="livesum")
MODEL_MEMORY = Gauge(
    "transcription_model_memory_bytes",
    "What the process, or the GPU, held more once the model was loaded; 0 when it is not in memory any more",
    ("model",),
    multiprocess_mode="livemax",
)

# Jobs
JOBS = Gauge("transcription_jobs", "Jobs in the store", ("status",), multiprocess_mode="livemostrecent")
OLDEST_JOB = Gauge(
    "transcription_oldest_job_seconds", "Age of the job that waits longest", multiprocess_mode="livemostrecent"
)
ATTEMPTS = Counter(
    "transcription_job_attempts", "How attempts of jobs ended: completed, failed, retried or interrupted", ("outcome",)
)
WEBHOOK_TRIES = Counter(
    "transcription_webhook_tries", "Tries of callbacks: delivered, failed (tried again later) or given_up", ("outcome",)
)

# Resources; process is api or runner
RESIDENT = Gauge("transcription_process_resident_bytes", "Resident memory", ("process",), multiprocess_mode="livesum")
CPU_SECONDS = Counter("transcription_process_cpu_seconds", "CPU time, user and system", ("process",))
DESCRIPTORS = Gauge("transcription_process_open_descriptors", "Open files", ("process",), multiprocess_mode="livesum")
MEMORY_USED = Gauge(
    "transcription_memory_used_ratio", "Of the container's limit, or the machine's", multiprocess_mode="livemostrecent"
)
GPU_BUSY = Gauge(
    "transcription_gpu_busy_ratio", "Share of the time in which the GPU worked", ("gpu",), multiprocess_mode="livemax"
)
GPU_MEMORY_USED = Gauge(
    "transcription_gpu_memory_used_bytes", "Used on the GPU, by everybody", ("gpu",), multiprocess_mode="livemax"
)
GPU_MEMORY = Gauge("transcription_gpu_memory_bytes", "Memory of the GPU", ("gpu",), multiprocess_mode="livemax")
CORES = Gauge("transcription_cpu_cores", "Cores that the model may use", multiprocess_mode="livemax")
DISK_FREE = Gauge("transcription_disk_free_bytes", "Free for uploads", ("folder",), multiprocess_mode="livemostrecent")
DISK_SIZE = Gauge("transcription_disk_size_bytes", "Size of the disk", ("folder",), multiprocess_mode="livemostrecent")


def serve_metrics(settings: Settings, registry: CollectorRegistry = REGISTRY) -> None:
    """GET /metrics on METRICS_PORT for as long as the process lives. Raises InvalidSettings when the port is taken."""
    try:
        start_http_server(settings.metrics_port, settings.host, registry)
    except OSError as error:
        raise InvalidSettings(
            f"Invalid settings:\n  METRICS_PORT: {settings.metrics_port} cannot be listened on. Give another, or 0 for "
            f"none. {error.strerror}"
        ) from None


def forget_dead_processes(folder: Path) -> None:
    """Drop the gauges of processes that are gone, which BentoML keeps when one is killed.

    folder: PROMETHEUS_MULTIPROC_DIR.
    """
    for pid in set(_owners(folder)):
        if not Path(f"/proc/{pid}").exists():
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _owners(folder: Path) -> Iterator[int]:
    for path in folder.glob("gauge_live*_*.db"):
        number = path.stem.rpartition("_")[2]
        if number.isdigit() and int(number) != os.getpid():
            yield int(number)
