"""Start a cluster on this machine: a Redis, API replicas, Celery workers. Each may be killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import redis

from tests.support.network import Machine
from tests.support.service import ROOT, DidNotStart, ask, free_port, unmeasured

START_SECONDS = 120.0  # on two busy cores
STOP_SECONDS = 30.0
ANSWER_SECONDS = 5.0
CELERY_APP = "transcription.jobs.cluster.celery"


@dataclass
class Member:
    """One process of the cluster with its children. answers: whether it is up."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    folder: Path
    answers: Callable[[], bool]
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Everything that it printed so far, however often it was started."""
        return self.folder / f"{self.name}.log"

    def start(self, *, wait: bool = True) -> None:
        """Raises DidNotStart."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**unmeasured(os.environ), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if wait:
            self.wait_until_up()

    def wait_until_up(self) -> None:
        """Raises DidNotStart."""
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart(f"{self.name} did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL for it and all its children, as when the machine fails."""
        if self.process is None:
            return
        family = []
        if self.process.poll() is None:
            parent = psutil.Process(self.process.pid)
            family = [parent, *parent.children(recursive=True)]
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(family, timeout=10)
        self.process.wait()

    def stop(self) -> float:
        """SIGTERM; the seconds until it was gone. What stays is killed."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        return time.monotonic() - started


@dataclass
class Cluster:
    """redis_url: of the one Redis. urls: of the API replicas, in their order."""

    redis: Member
    apis: list[Member]
    workers: list[Member]
    urls: list[str]
    redis_url: str
    members: list[Member] = field(init=False)

    def __post_init__(self) -> None:
        self.members = [self.redis, *self.apis, *self.workers]


@contextmanager
def local_cluster(
    folder: Path,
    environment: Mapping[str, str],
    *,
    apis: int,
    workers: int,
    app: str = CELERY_APP,
) -> Iterator[Cluster]:
    """A running cluster with its files in `folder`; everything is killed at the end.

    environment: on top of ours. app: module of the workers' Celery application.
    """
    port = free_port()
    redis_url = f"redis://127.0.0.1:{port}/0"
    shared = {
        "HOST": "127.0.0.1",
        "JOB_BACKEND": "celery",
        "REDIS_URL": redis_url,
        "JOBS_DIR": str(folder / "shared"),
        "TEMP_DIR": str(folder / "shared" / "uploads"),
        "CACHE_DIR": str(folder / "cache"),
        "ENABLE_RATE_LIMIT": "false",
        "BENTOML_CONFIG": str(ROOT / "configuration.yaml"),
        "BENTOML_DO_NOT_TRACK": "True",
        **environment,
    }
    api_ports, worker_ports = [free_port() for _ in range(apis)], [free_port() for _ in range(workers)]
    urls = [f"http://127.0.0.1:{api_port}" for api_port in api_ports]
    cluster = Cluster(
        redis_member(folder, port),
        [api_member(f"api-{number}", folder, shared, api_port) for number, api_port in enumerate(api_ports)],
        [
            worker_member(f"worker-{number}", folder, shared, worker_port, app)
            for number, worker_port in enumerate(worker_ports)
        ],
        urls,
        redis_url,
    )
    with ExitStack() as stack:
        for member in cluster.members:
            stack.callback(member.kill)
        cluster.redis.start()
        for member in cluster.members[1:]:
            member.start(wait=False)
        for member in cluster.members[1:]:
            member.wait_until_up()
        yield cluster


def api_member(name: str, folder: Path, shared: Mapping[str, str], port: int) -> Member:
    """An API replica. shared: its settings."""
    environment = {**shared, "PORT": str(port), "BENTOML_HOME": str(folder / f"{name}-bentoml")}
    command = [sys.executable, "-m", "bentoml", "serve", "service:TranscriptionService"]
    return Member(name, command, environment, folder, lambda: _says_yes(f"http://127.0.0.1:{port}/health/ready"))


def worker_member(
    name: str,
    folder: Path,
    shared: Mapping[str, str],
    port: int,
    app: str = CELERY_APP,
) -> Member:
    """A Celery worker. shared: its settings. port: of its metrics."""
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "--hostname", f"{name}@%h"]
    command += ["--without-gossip", "--without-mingle"]
    member = Member(name, command, {**shared, "METRICS_PORT": str(port)}, folder, lambda: False)
    member.answers = lambda: _says_it_is_ready(member)
    return member


def _says_it_is_ready(worker: Member) -> bool:
    """In this life: the log has the earlier ones, too."""
    assert worker.process is not None
    lines = (line for line in worker.log.read_text().splitlines() if '"worker_ready"' in line)
    return any(json.loads(line)["pid"] == worker.process.pid for line in lines)


def redis_member(folder: Path, port: int, *more: str, machine: Machine | None = None) -> Member:
    """A Redis as jobs need it: every command is on the disk before it is answered. more: of its options."""
    command = ["redis-server", "--port", str(port), "--dir", str(folder), "--save", ""]
    command += ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
    command += ["--repl-diskless-sync-delay", "0", *more]
    host, prefix = (machine.address, machine.prefix) if machine else ("127.0.0.1", [])
    command += ["--bind", host, "--protected-mode", "no"]
    return Member("redis", [*prefix, *command], {}, folder, lambda: redis_answers(host, port))


def redis_answers(host: str, port: int) -> bool:
    """Whether a Redis or a Sentinel does."""
    try:
        with redis.Redis(host, port, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _says_yes(url: str) -> bool:
    try:
        return ask(url, timeout=5).is_success
    except httpx.HTTPError:
        return False
