"""What Prometheus is told beside BentoML's own figures; `/metrics` shows both, of every process on the machine."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

# Name, labels and powers of two as in BentoML 1.4.39 for batchable methods, so that its dashboards show our batches.
BATCH_SIZE = Histogram(
    "bentoml_service_adaptive_batch_size",
    "Service adaptive batch size",
    ("runner_name", "worker_index", "method_name", "service_version", "service_name"),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
OUT_OF_MEMORY = Counter(
    "transcription_out_of_memory", "Batches that the device had no memory for; they are retried in halves", ("model",)
)
HALLUCINATIONS = Counter(
    "transcription_hallucinations", "Segments that the hallucination guard condemned", ("reason", "action")
)
WEBHOOK_TRIES = Counter(
    "transcription_webhook_tries", "Tries of callbacks: delivered, failed (tried again later) or given_up", ("outcome",)
)
