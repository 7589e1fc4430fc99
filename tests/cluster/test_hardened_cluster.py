"""API, worker, exporter and Redis as the Compose file and the chart start them do a job together.

Each is in a container as the kernel makes them (tests/support/containers.py), with the commands, folders, users and
configuration that are in deploy/.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import httpx
import pytest
import redis

from tests.support.containers import Container, Hardening, contained, of_compose, of_pod, says_yes, wait_until
from tests.support.deployment import CHART, DEPLOY, load, manifests, of_kind
from tests.support.service import ROOT, ask, free_port

PASSWORD = "onlyForTests"
JOB_SECONDS = 60.0
STOP_SECONDS = 20.0
CLIP = ROOT / "samples" / "en-meeting.mp3"
PARTS = ("api", "worker", "exporter")
PASSWORD_VALUES = ROOT / "tests" / "fixtures" / "chart" / "password.yaml"
SERVE = ["bentoml", "serve", "service:TranscriptionService"]
SCALED_BY = re.compile(r"transcription_(?:oldest_queued_job_seconds|stored_jobs)")


@dataclass(frozen=True, slots=True)
class Running:
    """Where each part answers, and the parts."""

    api: str
    worker: str
    exporter: str
    containers: dict[str, Container]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Redis of deploy/, with a password."""
    server = shutil.which("redis-server")
    if not server:
        pytest.skip("redis-server is needed: make tools")
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = [server, str(DEPLOY / "redis" / "redis.conf"), "--dir", str(folder), "--requirepass", PASSWORD]
    with subprocess.Popen([*command, "--port", str(port), "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL) as process:
        url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
        try:
            wait_until(lambda: answers(url), Container(process, folder / "none"))
            yield url
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


Parts = dict[str, tuple[Hardening, list[str]]]  # how each is started, and its command


def of_compose_cluster() -> Parts:
    services = load(DEPLOY / "compose" / "cluster.yaml")["services"]
    return {name: (of_compose(services[name]), services[name].get("command", SERVE)) for name in PARTS}


def of_chart() -> Parts:
    documents = manifests(DEPLOY / "helm" / "examples" / "minimal.yaml", PASSWORD_VALUES)
    (settings,) = [item["data"] for item in of_kind("ConfigMap", documents) if "JOBS_DIR" in item["data"]]
    pods = {item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in of_kind("Deployment", documents)}
    parts = {name: pods[f"try-transcription-{name}"] for name in PARTS}
    return {name: (of_pod(pod, settings), pod["containers"][0].get("args", SERVE)) for name, pod in parts.items()}


@pytest.fixture(scope="module", params=[of_compose_cluster, of_chart], ids=["compose", "chart"])
def running(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    parts: Parts = request.param()
    redis.Redis.from_url(redis_url).flushall()
    folder = tmp_path_factory.mktemp("cluster")
    ports = {name: free_port() for name in PARTS}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    containers = {}
    with ExitStack() as stack:
        for name, port in ports.items():
            environment = {
                "REDIS_URL": redis_url,
                "WHISPER_DEVICE": "cpu",
                "METRICS_PORT": str(port),
                "PORT": str(port),
            }
            hardening, command = parts[name]
            start = contained(name, hardening, folder, environment, command)
            containers[name] = stack.enter_context(start)
        wait_until(lambda: says_yes(f"{urls['api']}/health/ready"), containers["api"])
        for name in ("worker", "exporter"):
            wait_until(partial(says_yes, f"{urls[name]}/metrics"), containers[name])
        yield Running(urls["api"], urls["worker"], urls["exporter"], containers)


def test_a_job_is_accepted_by_the_api_and_done_by_the_worker(running: Running) -> None:
    with CLIP.open("rb") as file:
        answer = httpx.post(f"{running.api}/transcribe", files={"file": file}, data={"async": "true"}, timeout=60)
    assert answer.status_code == 202, answer.text
    job = answer.json()["job_id"]
    deadline = time.monotonic() + JOB_SECONDS
    while (status := ask(f"{running.api}/status/{job}").json())["status"] not in ("completed", "failed"):
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
    assert status["status"] == "completed", status
    assert 'transcription_job_attempts_total{outcome="completed"} 1.0' in ask(f"{running.worker}/metrics").text


def test_the_exporter_has_the_metrics_that_workers_are_scaled_by(running: Running) -> None:
    told = ask(f"{running.exporter}/metrics").text
    asked = set(SCALED_BY.findall((CHART / "templates" / "worker-scaling.yaml").read_text()))
    assert len(asked) == 2
    assert all(name in told for name in asked)
    assert 'transcription_stored_jobs{status="processing"}' in told
    assert "transcription_redis_up 1.0" in told


def test_no_process_writes_outside_its_writable_folders(running: Running) -> None:
    for name, container in running.containers.items():
        log = container.log.read_text()
        assert "Read-only file system" not in log, name
        assert "Permission denied" not in log, name


def test_the_worker_and_the_exporter_end_in_time(running: Running) -> None:
    for name in ("worker", "exporter"):
        process = running.containers[name].process
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0, running.containers[name].log.read_text()[-2000:]
