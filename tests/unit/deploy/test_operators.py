"""What the chart makes for KEDA and for the Prometheus operator has the fields that their definitions have.

The schemas here hold what the chart uses, written after the custom resource definitions, and no more.
"""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema

from tests.support.deployment import DEPLOY, ROOT, Document, load, manifests, of_kind, pod_labels, selects

PASSWORD = ROOT / "tests" / "fixtures" / "chart" / "password.yaml"
METRIC = re.compile(r"transcription_[a-z_]+")
OF_THE_EXPORTER = {"transcription_oldest_queued_job_seconds", "transcription_stored_jobs"}

STRING = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}


def exactly(required: list[str], **properties: Any) -> dict[str, Any]:
    """A map with these keys and no others."""
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


SELECTOR = exactly(["matchLabels"], matchLabels={"type": "object", "additionalProperties": STRING, "minProperties": 1})
RELABELING = exactly(["targetLabel"], action={"enum": ["replace"]}, targetLabel=STRING, replacement=STRING)
ENDPOINT = exactly(
    ["port"],
    port=STRING,
    path={"const": "/metrics"},
    interval={"type": "string", "pattern": "^[0-9]+(ms|s|m)$"},
    relabelings={"type": "array", "items": RELABELING},
)
TRIGGER = exactly(
    ["type", "metadata"],
    type={"const": "prometheus"},
    name=STRING,
    metricType={"enum": ["AverageValue", "Value"]},
    authenticationRef=exactly(["name"], name=STRING),
    metadata=exactly(
        ["serverAddress", "query", "threshold"],  # KEDA wants strings, numbers as well
        serverAddress={"type": "string", "pattern": "^https?://"},
        query=STRING,
        threshold={"type": "string", "pattern": "^[0-9.]+$"},
        activationThreshold={"type": "string", "pattern": "^[0-9.]+$"},
        ignoreNullValues={"enum": ["true", "false"]},
    ),
)
POLICY = exactly(
    ["type", "value", "periodSeconds"], type={"enum": ["Pods", "Percent"]}, value=COUNT, periodSeconds=COUNT
)
RULES = exactly(
    ["policies"],
    policies={"type": "array", "items": POLICY},
    selectPolicy={"enum": ["Max", "Min", "Disabled"]},
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
)
SPECIFICATIONS = {
    "ServiceMonitor": exactly(
        ["selector", "endpoints"], selector=SELECTOR, endpoints={"type": "array", "items": ENDPOINT, "minItems": 1}
    ),
    "PodMonitor": exactly(
        ["selector", "podMetricsEndpoints"],
        selector=SELECTOR,
        podMetricsEndpoints={"type": "array", "items": ENDPOINT, "minItems": 1},
    ),
    "PrometheusRule": exactly(
        ["groups"],
        groups={
            "type": "array",
            "items": exactly(
                ["name", "rules"],
                name=STRING,
                rules={
                    "type": "array",
                    "items": exactly(
                        ["alert", "expr", "labels", "annotations"],
                        alert=STRING,
                        expr=STRING,
                        labels={"type": "object", "additionalProperties": STRING},
                        annotations={"type": "object", "additionalProperties": STRING},
                        **{"for": {"type": "string", "pattern": "^[0-9]+[smh]$"}},
                    ),
                },
            ),
        },
    ),
    "ScaledObject": exactly(
        ["scaleTargetRef", "triggers"],
        scaleTargetRef=exactly(["name"], apiVersion={"const": "apps/v1"}, kind={"const": "Deployment"}, name=STRING),
        pollingInterval=COUNT,
        cooldownPeriod=COUNT,
        minReplicaCount=COUNT,
        maxReplicaCount=COUNT,
        fallback=exactly(["failureThreshold", "replicas"], failureThreshold=COUNT, replicas=COUNT),
        advanced=exactly(
            [],
            horizontalPodAutoscalerConfig=exactly([], behavior=exactly([], scaleUp=RULES, scaleDown=RULES)),
        ),
        triggers={"type": "array", "items": TRIGGER, "minItems": 1},
    ),
}


def keda() -> tuple[Document, ...]:
    return manifests(DEPLOY / "helm" / "examples" / "keda.yaml", PASSWORD)


def scaled_object() -> Document:
    (found,) = of_kind("ScaledObject", keda())
    return found


def test_resources_of_operators_have_the_fields_of_their_definitions() -> None:
    seen = set()
    for document in keda():
        if document["kind"] in SPECIFICATIONS:
            seen.add(document["kind"])
            jsonschema.validate(document["spec"], SPECIFICATIONS[document["kind"]])
    assert seen == set(SPECIFICATIONS)


def test_resources_of_operators_have_the_versions_that_are_served() -> None:
    for document in keda():
        if document["kind"] in SPECIFICATIONS:
            expected = "keda.sh/v1alpha1" if document["kind"] == "ScaledObject" else "monitoring.coreos.com/v1"
            assert document["apiVersion"] == expected


def test_keda_asks_for_the_age_of_the_queue_in_this_namespace() -> None:
    age, processing = (trigger["metadata"] for trigger in scaled_object()["spec"]["triggers"])
    labels = '{namespace="speech",job="transcription-exporter"'
    assert age["query"] == f"max(transcription_oldest_queued_job_seconds{labels}}})"
    assert age["threshold"] == "120"
    assert processing["query"] == f'sum(transcription_stored_jobs{labels},status="processing"}})'


def test_workers_that_work_are_not_scaled_away_with_the_queue_empty() -> None:
    assert scaled_object()["spec"]["minReplicaCount"] == 0
    assert any('status="processing"' in trigger["metadata"]["query"] for trigger in scaled_object()["spec"]["triggers"])


def test_a_prometheus_that_is_gone_leaves_some_workers() -> None:
    specification = scaled_object()["spec"]
    assert specification["fallback"]["replicas"] >= 1
    # KEDA falls back for metrics of this type only.
    assert any(trigger["metricType"] == "AverageValue" for trigger in specification["triggers"])
    assert all(trigger["metadata"]["ignoreNullValues"] == "false" for trigger in specification["triggers"])


def test_scaling_asks_for_figures_of_the_exporter_only() -> None:
    asked = set()
    for document in [*keda(), *manifests(DEPLOY / "helm" / "examples" / "cpu-hpa.yaml", PASSWORD)]:
        if document["kind"] in ("ScaledObject", "HorizontalPodAutoscaler"):
            asked |= set(METRIC.findall(json.dumps(document["spec"])))
    assert asked == OF_THE_EXPORTER


def test_every_monitor_finds_pods_and_gives_them_the_job_that_alerts_look_for() -> None:
    documents = keda()
    jobs = {}
    for document in of_kind("PodMonitor", documents) + of_kind("ServiceMonitor", documents):
        labels = document["spec"]["selector"]["matchLabels"]
        assert any(selects(labels, pod) for pod in pod_labels(documents))
        for endpoint in document["spec"].get("endpoints", []) + document["spec"].get("podMetricsEndpoints", []):
            (job,) = [item["replacement"] for item in endpoint["relabelings"] if item["targetLabel"] == "job"]
            jobs[job] = endpoint["port"]
    assert jobs == {"transcription": "http", "transcription-worker": "metrics", "transcription-exporter": "metrics"}


def test_the_rules_are_the_alerts_of_both_files() -> None:
    (rules,) = of_kind("PrometheusRule", keda())
    files = [DEPLOY / "prometheus" / name for name in ("alerts.yaml", "alerts_cluster.yaml")]
    assert rules["spec"]["groups"] == [group for path in files for group in load(path)["groups"]]


def test_the_dashboards_are_those_in_the_repository() -> None:
    (found,) = [item for item in of_kind("ConfigMap", keda()) if "grafana_dashboard" in item["metadata"]["labels"]]
    files = {"transcription.json": "dashboard.json", "transcription-cluster.json": "cluster.json"}
    assert set(found["data"]) == set(files)
    for key, name in files.items():
        assert json.loads(found["data"][key]) == json.loads((DEPLOY / "grafana" / name).read_text())
