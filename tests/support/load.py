"""How much work the model has done and has before it, from a service's own figures."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.waiting import wait_until


def sample(client: httpx.Client, name: str, **labels: str) -> float:
    """The sum of the samples of that name whose labels include these; 0 where there are none."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return sum(
        found.value
        for family in families
        for found in family.samples
        if found.name == name and labels.items() <= found.labels.items()
    )


def windows_begun(client: httpx.Client) -> float:
    """How many windows were put on the device since the service started."""
    return sample(client, "bentoml_service_adaptive_batch_size_sum")


def wait_until_idle(client: httpx.Client, seconds: float = 60.0) -> bool:
    """Whether the model's queue and device were empty within so many seconds."""
    names = ("transcription_waiting_windows", "transcription_running_batches")
    return wait_until(lambda: not any(sample(client, name) for name in names), seconds)
