"""The chart takes what its schema allows, refuses the rest with a reason, and scales by what it was told."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from helm_python import HelmError

from tests.support.deployment import (
    CHART,
    DEPLOY,
    EXAMPLES,
    OF_BENTOML,
    ROOT,
    SECRETS,
    SETTINGS,
    Document,
    bytes_of,
    containers,
    laid_over,
    load,
    manifests,
    maxmemory_of,
    of_kind,
    render,
)

FIXTURES = ROOT / "tests" / "fixtures" / "chart"
PASSWORD = FIXTURES / "password.yaml"
VALUES = load(CHART / "values.yaml")
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
LINKED = {
    "alerts.yaml": DEPLOY / "prometheus" / "alerts.yaml",
    "alerts_cluster.yaml": DEPLOY / "prometheus" / "alerts_cluster.yaml",
    "cluster.json": DEPLOY / "grafana" / "cluster.json",
    "dashboard.json": DEPLOY / "grafana" / "dashboard.json",
    "redis.conf": DEPLOY / "redis" / "redis.conf",
}


def example(name: str) -> tuple[Document, ...]:
    return manifests(DEPLOY / "helm" / "examples" / f"{name}.yaml", PASSWORD)


def scaler(documents: tuple[Document, ...], name: str) -> Document:
    """What the HorizontalPodAutoscaler of this name says."""
    scalers = of_kind("HorizontalPodAutoscaler", documents)
    (found,) = [item["spec"] for item in scalers if item["metadata"]["name"] == name]
    return dict(found)


def refused(over: Document) -> str:
    """Why the schema refuses these values over the chart's own, "" when it does not."""
    errors = sorted(jsonschema.Draft7Validator(SCHEMA).iter_errors(laid_over(VALUES, over)), key=str)
    return errors[0].message if errors else ""


def test_the_schema_is_one_and_accepts_the_values_of_the_chart() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert refused({}) == ""


@pytest.mark.parametrize("path", [*EXAMPLES, *FIXTURES.glob("*.yaml")], ids=lambda path: path.stem)
def test_the_schema_accepts_the_examples(path: Path) -> None:
    assert refused(load(path)) == ""


@pytest.mark.parametrize(
    "nonsense",
    [
        {"wroker": {"replicas": 2}},
        {"worker": {"replica": 2}},
        {"worker": {"device": "tpu"}},
        {"worker": {"replicas": -1}},
        {"worker": {"replicas": "two"}},
        {"worker": {"terminationGracePeriodSeconds": 5}},
        {"scaling": {"kind": "magic"}},
        {"scaling": {"targetAgeSeconds": 0}},
        {"scaling": {"keda": {"serverAddress": "prometheus:9090"}}},
        {"settings": {"whisper_model": "base"}},
        {"settings": {"WHISPER_MODEL": ["base"]}},
        {"settings": {"PROTECT_PROBES": True}},
        {"settings": {"JOB_BACKEND": "sqlite"}},
        {"redis": {"password": "with/a slash"}},
        {"redis": {"maxmemory": "640"}},
        {"spool": {"kind": "object", "url": "/a/folder"}},
        {"spool": {"kind": "object", "url": "s3://key:secret@bucket"}},
        {"image": {"repository": "registry.example.com/transcription:1.0"}},
        {"service": {"port": 0}},
        {"api": {"podDisruptionBudget": {"maxUnavailable": 0}}},
        {"api": {"resources": {"limits": {"cpu": "lots"}}}},
        {"podSecurityContext": None},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_nonsense(nonsense: Document) -> None:
    assert refused(nonsense)


@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_the_schema_refuses_secrets_among_the_settings(secret: str) -> None:
    assert refused({"settings": {secret: "value"}})


def test_every_key_of_the_values_is_in_the_schema() -> None:
    assert missing_keys(VALUES, SCHEMA) == []


def missing_keys(values: Document, schema: Any, path: str = "") -> list[str]:
    """Paths of maps in the values that the schema leaves open, though they have keys of the chart's own."""
    missing = []
    properties = resolved(schema).get("properties", {})
    for key, value in values.items():
        if key not in properties:
            missing.append(f"{path}{key}")
        elif isinstance(value, dict) and resolved(properties[key]).get("additionalProperties") is False:
            missing += missing_keys(value, properties[key], f"{path}{key}.")
    return missing


def resolved(schema: Any) -> Any:
    reference = schema.get("$ref", "")
    return SCHEMA["definitions"][reference.rsplit("/", 1)[-1]] if reference else schema


@pytest.mark.parametrize("name", ["settings", "secrets"])
def test_settings_in_the_examples_are_real_ones(name: str) -> None:
    for path in [CHART / "values.yaml", *EXAMPLES]:
        values = load(path).get(name, {})
        named = set(values if name == "settings" else values.get("values", {}))
        assert named <= SETTINGS | OF_BENTOML


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"redis": {"password": "p"}}, "image.repository is needed"),
        ({"image": {"repository": "r"}}, "redis.password or redis.existingSecret is needed"),
        (
            {"image": {"repository": "r"}, "redis": {"password": "p"}, "spool": {"kind": "object"}},
            "spool.url is needed",
        ),
        (
            {"image": {"repository": "r"}, "redis": {"password": "p"}, "models": {"kind": "existing"}},
            "models.existingClaim is needed",
        ),
    ],
)
def test_what_is_missing_is_named(values: Document, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(HelmError, match=re.escape(reason)):
        render(path)


@pytest.mark.parametrize("name", LINKED)
def test_files_that_the_chart_shares_are_kept_once(name: str) -> None:
    assert (CHART / "files" / name).resolve() == LINKED[name]


def test_the_chart_has_the_version_of_the_application() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert load(CHART / "Chart.yaml")["appVersion"] == project["version"]


def test_it_renders_the_same_twice() -> None:
    assert render(EXAMPLES[0], PASSWORD) == render(EXAMPLES[0], PASSWORD)


def test_object_storage_takes_the_place_of_the_volume() -> None:
    documents = example("external-redis-s3")
    assert of_kind("PersistentVolumeClaim", documents) == []
    (settings,) = [item for item in of_kind("ConfigMap", documents) if "SPOOL_URL" in item["data"]]
    assert settings["data"]["SPOOL_URL"] == "s3://transcription-recordings/spool"
    assert all(
        mount["name"] != "spool" for _, container in containers(documents) for mount in container["volumeMounts"]
    )


def test_redis_is_full_before_it_is_killed() -> None:
    (server,) = of_kind("StatefulSet", example("minimal"))
    (container,) = server["spec"]["template"]["spec"]["containers"]
    assert bytes_of(maxmemory_of(container["args"])) < 0.7 * bytes_of(container["resources"]["limits"]["memory"])


def test_an_external_redis_leaves_none_of_the_charts_own() -> None:
    documents = example("external-redis-s3")
    assert of_kind("StatefulSet", documents) == []
    assert all(item["name"] != "REDIS_URL" for _, container in containers(documents) for item in container["env"])


def test_an_hpa_scales_workers_by_the_age_of_the_queue() -> None:
    scalers = {
        item["metadata"]["name"]: item["spec"] for item in of_kind("HorizontalPodAutoscaler", example("cpu-hpa"))
    }
    age, processing = scalers["try-transcription-worker"]["metrics"]
    assert age["external"]["metric"]["name"] == "transcription_oldest_queued_job_seconds"
    assert age["external"]["target"] == {"type": "Value", "value": "60"}
    assert processing["external"]["metric"]["selector"]["matchLabels"]["status"] == "processing"
    assert processing["external"]["target"] == {"type": "AverageValue", "averageValue": "2"}  # JOB_CONCURRENCY


def test_the_api_is_scaled_by_cpu() -> None:
    for name in ("minimal", "keda", "cpu-hpa"):
        (metric,) = scaler(example(name), "try-transcription-api")["metrics"]
        assert metric["resource"]["name"] == "cpu"


def test_volumes_with_recordings_outlive_the_release() -> None:
    claims = of_kind("PersistentVolumeClaim", example("keda"))
    assert {claim["metadata"]["name"] for claim in claims} == {"try-transcription-models", "try-transcription-spool"}
    for claim in claims:
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
