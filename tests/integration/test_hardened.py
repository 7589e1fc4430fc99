"""The service does its work with what the containers of deploy/ leave it: a read-only root, a user, no capabilities.

No container engine is needed: the kernel gives the same by a namespace of mounts, for which this must run as root.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.clips import SpokenClip
from tests.support.containers import Container, Hardening, contained, of_compose, says_yes, wait_until
from tests.support.deployment import DEPLOY, ROOT, Document, load, manifests, of_kind
from tests.support.service import ask, free_port

PASSWORD = ROOT / "tests" / "fixtures" / "chart" / "password.yaml"
JOB_SECONDS = 30.0
FOLDERS = ("BENTOML_HOME", "CACHE_DIR", "JOBS_DIR", "TEMP_DIR", "WHISPER_MODEL_DIR")
SERVE = ["bentoml", "serve", "service:TranscriptionService"]


@dataclass(frozen=True, slots=True)
class Served:
    """A container that serves."""

    container: Container
    url: str

    @property
    def log(self) -> str:
        return self.container.log.read_text()


def api_of_the_chart() -> tuple[Document, Document]:
    """The API's pod, and the settings in the ConfigMap."""
    documents = manifests(DEPLOY / "helm" / "examples" / "minimal.yaml", PASSWORD)
    (settings,) = [item["data"] for item in of_kind("ConfigMap", documents) if "JOBS_DIR" in item["data"]]
    (api,) = [item for item in of_kind("Deployment", documents) if item["metadata"]["name"].endswith("-api")]
    return api["spec"]["template"]["spec"], settings


def of_single() -> Hardening:
    return of_compose(load(DEPLOY / "compose" / "single.yaml")["services"]["transcription"])


def of_chart() -> Hardening:
    """The folders and the user of the chart; jobs in SQLite, so that one container will do."""
    pod, settings = api_of_the_chart()
    mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    user = "{runAsUser}:{runAsGroup}".format(**pod["securityContext"])
    writable = tuple(mount for mount in mounts if mount != "/tmp")
    return Hardening(user, "size=1g,mode=1777", writable, {name: settings[name] for name in FOLDERS})


@pytest.fixture(scope="module", params=[of_single, of_chart], ids=["compose", "chart"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service in such a container, with the embedded model."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("container")
    with contained("api", request.param(), folder, {"PORT": str(port)}, SERVE) as container:
        wait_until(lambda: says_yes(f"{url}/health/ready"), container)
        yield Served(container, url)


def test_it_transcribes(served: Served, spoken_clip: SpokenClip) -> None:
    answer = send(served, spoken_clip)
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == spoken_clip.text


def test_it_does_jobs(served: Served, spoken_clip: SpokenClip) -> None:
    job = send(served, spoken_clip, {"async": "true"}).json()["job_id"]
    deadline = time.monotonic() + JOB_SECONDS
    while (status := ask(f"{served.url}/status/{job}").json())["status"] not in ("completed", "failed"):
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    assert status["status"] == "completed"


def test_its_decoders_are_in_their_sandbox(served: Served) -> None:
    (line,) = [line for line in served.log.splitlines() if '"message": "sandbox"' in line]
    assert '"seccomp": true' in line
    assert '"level": "INFO"' in line


def test_it_writes_nowhere_else(served: Served, spoken_clip: SpokenClip) -> None:
    send(served, spoken_clip)
    assert "Read-only file system" not in served.log
    assert "Permission denied" not in served.log


def test_its_root_can_really_not_be_written(served: Served) -> None:
    process = Path(f"/proc/{served.container.process.pid}")
    options = {line.split()[1]: line.split()[3].split(",") for line in (process / "mounts").read_text().splitlines()}
    assert "ro" in options["/"]
    status = (process / "status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "Uid:\t1034" in status


def test_every_probe_of_the_chart_is_answered(served: Served) -> None:
    pod, _ = api_of_the_chart()
    (container,) = pod["containers"]
    asked = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    for path in asked | {"/metrics"}:
        assert ask(served.url + path).status_code == 200, path


def send(served: Served, clip: SpokenClip, fields: dict[str, str] | None = None) -> httpx.Response:
    with clip.path.open("rb") as file:
        return httpx.post(f"{served.url}/transcribe", files={"file": file}, data=fields or {}, timeout=60)
