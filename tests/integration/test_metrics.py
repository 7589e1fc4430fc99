"""What Prometheus sees at /metrics of the API, of every process on the machine."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.conftest import SpokenClip, Transcribe
from tests.integration.test_clients_that_leave import wait_until

BATCH_SIZE = "bentoml_service_adaptive_batch_size"


def sample(client: httpx.Client, name: str, **labels: str) -> float:
    """The sum of the samples of that name whose labels include these."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return sum(
        found.value
        for family in families
        for found in family.samples
        if found.name == name and labels.items() <= found.labels.items()
    )


def test_batches_are_counted_under_the_name_and_labels_of_bentoml(
    client: httpx.Client, transcribe: Transcribe, spoken_clip: SpokenClip
) -> None:
    labels = {"runner_name": "whisper_runner", "method_name": "transcribe"}
    before = sample(client, f"{BATCH_SIZE}_count", **labels)

    assert transcribe(spoken_clip.path).status_code == 200

    assert sample(client, f"{BATCH_SIZE}_count", **labels) == before + 1
    assert sample(client, f"{BATCH_SIZE}_bucket", le="1.0", **labels) >= 1


def test_requests_are_counted_by_bentoml_itself(
    client: httpx.Client, transcribe: Transcribe, spoken_clip: SpokenClip
) -> None:
    labels = {"endpoint": "/transcribe", "runner_name": "transcription", "http_response_code": "200"}
    before = sample(client, "bentoml_service_request_total", **labels)

    assert transcribe(spoken_clip.path).status_code == 200

    # It is counted when the answer is out.
    assert wait_until(lambda: sample(client, "bentoml_service_request_total", **labels) == before + 1)
