"""What the tests of deploy/ share: its files, the chart rendered, and the names that an environment may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, reduce
from pathlib import Path
from typing import Any

import yaml

from transcription.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "transcription"
EXAMPLES = sorted((DEPLOY / "helm" / "examples").glob("*.yaml"))

SETTINGS = frozenset(name.upper() for name in Settings.model_fields)
OF_BENTOML = frozenset({"BENTOML_HOME", "BENTOML_CONFIG", "BENTOML_DO_NOT_TRACK"})
SECRETS = frozenset({"API_KEY", "WEBHOOK_SECRET", "REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"})

INFORMATION = 1  # severity in a report of Helm

Document = dict[str, Any]


def bytes_of(quantity: str) -> float:
    """A size as Redis, Docker or Kubernetes write it; they mean powers of 1024 by these."""
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", quantity.lower()).groups()
    return float(number) * {"m": 2**20, "mb": 2**20, "mi": 2**20, "g": 2**30, "gb": 2**30, "gi": 2**30}[unit]


def maxmemory_of(command: list[str]) -> str:
    """What a command gives Redis."""
    words = command[-1].split()
    return words[words.index("--maxmemory") + 1]


def load(path: Path) -> Document:
    """One YAML document, which is a mapping."""
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def laid_over(base: Document, over: Document) -> Document:
    """As Helm does it: maps key by key."""
    merged = dict(base)
    for key, value in over.items():
        merged[key] = laid_over(merged[key], value) if isinstance(value, dict) and key in merged else value
    return merged


def values_in(paths: Iterable[Path]) -> Document:
    """The values of several files, each over those before it."""
    return reduce(laid_over, map(load, paths), {})


def render(*values: Path, namespace: str = "speech") -> dict[str, str]:
    """What Helm makes of the chart with these files of values, by the name of the template. Raises HelmError."""
    import helm_python  # late: its library is 85 MB

    with helm_python.Chart.load(CHART) as chart:
        rendered: dict[str, str] = chart.render(values_in(values), name="try", namespace=namespace)
    return rendered


def lint(*values: Path) -> list[str]:
    """What `helm lint` has against the chart with these files of values, apart from recommendations."""
    import helm_python  # late, as above

    report = helm_python.lint(CHART, values_in(values), strict=True, namespace="speech")
    return [each["error"] for each in report["messages"] if each["severity"] > INFORMATION] + report["errors"]


@cache
def manifests(*values: Path) -> tuple[Document, ...]:
    """Every manifest of the chart with these files of values."""
    texts = [text for name, text in render(*values).items() if not name.endswith("NOTES.txt")]
    return tuple(document for text in texts for document in yaml.safe_load_all(text) if document)


def of_kind(kind: str, documents: tuple[Document, ...]) -> list[Document]:
    return [document for document in documents if document["kind"] == kind]


def workloads(documents: tuple[Document, ...]) -> list[Document]:
    """What makes pods."""
    return of_kind("Deployment", documents) + of_kind("StatefulSet", documents)


def containers(documents: tuple[Document, ...]) -> Iterator[tuple[Document, Document]]:
    """Each container with the specification of its pod."""
    for workload in workloads(documents):
        pod = workload["spec"]["template"]["spec"]
        for container in pod["containers"]:
            yield pod, container


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def pod_labels(documents: tuple[Document, ...]) -> list[dict[str, str]]:
    return [workload["spec"]["template"]["metadata"]["labels"] for workload in workloads(documents)]
