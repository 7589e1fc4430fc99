"""A real Prometheus with the scrape example and the alerts of deploy/prometheus."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from tests.support.deployment import DEPLOY, Document, load
from tests.support.service import ask, free_port
from tests.support.tools import tool
from tests.support.waiting import wait_until

FOLDER = DEPLOY / "prometheus"
# A machine that is short of these says nothing about the service.
OF_THE_MACHINE = frozenset(
    {
        *("TranscriptionMemoryCritical", "TranscriptionMemoryHigh"),
        *("TranscriptionDiskCritical", "TranscriptionDiskHigh", "TranscriptionCpuHigh"),
    }
)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus that scrapes one service."""

    url: str

    def has_looked(self) -> bool:
        """Whether it has asked the service once. What was counted before does not count as an increase."""
        try:
            return self._value("count(up)") > 0
        except httpx.HTTPError:
            return False

    def expect(self, alerts: set[str], *, after: str) -> None:
        """Wait until these alerts of the service are pending or firing, and no others.

        after: a query that has a result above 0 when the cause, or what must be none, has been counted.
        """
        assert wait_until(lambda: self._value(after) > 0), f"nothing is counted by {after}"
        counted = time.time()
        assert wait_until(lambda: all(_evaluated(group) > counted for group in self._groups()))
        # Once what was counted is looked at, nothing but a scrape that failed on a busy machine goes away by itself.
        assert wait_until(lambda: self._raised() == alerts), self._raised()

    def _raised(self) -> set[str]:
        rules = [rule for group in self._groups() for rule in group["rules"]]
        assert [rule["lastError"] for rule in rules if rule["health"] != "ok"] == []
        return {rule["name"] for rule in rules if rule["state"] != "inactive"} - OF_THE_MACHINE

    def _groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = self._get("rules")["groups"]
        return groups

    def _value(self, query: str) -> float:
        result = self._get("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else 0.0

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        answer = ask(f"{self.url}/api/v1/{path}", params=query)
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data


@contextmanager
def prometheus(service: str, folder: Path) -> Iterator[Prometheus]:
    """Prometheus for the service at a URL, with its files in `folder`. Skips the test where it is not installed."""
    for rules in FOLDER.glob("alerts*.yaml"):
        shutil.copy(rules, folder)
    configuration = folder / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(_for_one(service)))
    port = free_port()
    command = [
        *(tool("prometheus"), f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
    ]
    with subprocess.Popen(command, env={"PATH": os.defpath}) as process:
        running = Prometheus(f"http://127.0.0.1:{port}")
        try:
            assert wait_until(running.has_looked), "Prometheus did not start"
            yield running
        finally:
            process.terminate()


def _for_one(service: str) -> Document:
    """The scrape example for one service without Celery, which looks more often."""
    example = load(FOLDER / "scrape.yaml")
    [job] = [each for each in example["scrape_configs"] if each["job_name"] == "transcription"]
    job |= {"scrape_interval": "1s", "static_configs": [{"targets": [urlsplit(service).netloc]}]}
    return {**example, "global": {"evaluation_interval": "1s"}, "scrape_configs": [job]}


def _evaluated(group: dict[str, Any]) -> float:
    return datetime.fromisoformat(group["lastEvaluation"]).timestamp()
