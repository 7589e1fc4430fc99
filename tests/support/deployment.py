"""What the tests of deploy/ share: its files, the chart rendered, and the names that an environment may hold."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from transcription.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "transcription"
EXAMPLES = sorted((DEPLOY / "helm" / "examples").glob("*.yaml"))

SETTINGS = frozenset(name.upper() for name in Settings.model_fields)
OF_BENTOML = frozenset({"BENTOML_HOME", "BENTOML_CONFIG", "BENTOML_DO_NOT_TRACK"})
SECRETS = frozenset({"API_KEY", "WEBHOOK_SECRET", "REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"})

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


@cache
def render_chart_command() -> str:
    """The program that renders charts. Skips the test where it is not built."""
    command = shutil.which("render_chart", path=f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if not command:
        pytest.skip("needs render_chart: make tools builds it with Debian's Go")
    return command


def render(*values: Path, namespace: str = "speech") -> subprocess.CompletedProcess[str]:
    """The chart with these files of values over its own, as YAML in stdout."""
    files = [argument for path in values for argument in ("-f", str(path))]
    command = [render_chart_command(), "-release", "try", "-namespace", namespace, *files, str(CHART)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@cache
def manifests(*values: Path) -> tuple[Document, ...]:
    """Every manifest of the chart with these files of values."""
    rendered = render(*values)
    assert rendered.returncode == 0, rendered.stderr
    return tuple(document for document in yaml.safe_load_all(rendered.stdout) if document)


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
