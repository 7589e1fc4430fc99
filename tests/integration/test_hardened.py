"""The service does its work with what the containers of deploy/ leave it: a read-only root, a user, no capabilities.

No container engine is needed: the kernel gives the same by a namespace of mounts, for which this must run as root.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from scripts.local_service import LocalService, free_port
from tests.integration.conftest import SpokenClip
from tests.unit.deployment import DEPLOY, ROOT, load, manifests, of_kind

SCRIPT = Path(__file__).with_name("as_a_container.sh")
PASSWORD = ROOT / "tests" / "fixtures" / "chart" / "password.yaml"
READY_SECONDS = 90.0
JOB_SECONDS = 30.0
STOP_SECONDS = 60.0  # stop_grace_period and terminationGracePeriodSeconds
FOLDERS = ("BENTOML_HOME", "CACHE_DIR", "JOBS_DIR", "TEMP_DIR", "WHISPER_MODEL_DIR")


@dataclass(frozen=True, slots=True)
class Hardening:
    """How a container is started. writable: folders of volumes. folders: settings that name folders."""

    user: str
    tmpfs: str
    writable: tuple[str, ...]
    folders: dict[str, str]


def of_compose() -> Hardening:
    service = load(DEPLOY / "compose" / "single.yaml")["services"]["transcription"]
    environment = service["environment"]
    (tmpfs,) = service["tmpfs"]
    volumes = tuple(volume.split(":")[1] for volume in service["volumes"])
    return Hardening(service["user"], tmpfs.partition(":")[2], volumes, {name: environment[name] for name in FOLDERS})


def of_chart() -> Hardening:
    documents = manifests(DEPLOY / "helm" / "examples" / "minimal.yaml", PASSWORD)
    (settings,) = [item["data"] for item in of_kind("ConfigMap", documents) if "JOBS_DIR" in item["data"]]
    (api,) = [item for item in of_kind("Deployment", documents) if item["metadata"]["name"].endswith("-api")]
    pod = api["spec"]["template"]["spec"]
    mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    user = "{runAsUser}:{runAsGroup}".format(**pod["securityContext"])
    writable = tuple(mount for mount in mounts if mount != "/tmp")
    return Hardening(user, "size=1g,mode=1777", writable, {name: settings[name] for name in FOLDERS})


@pytest.fixture(scope="module", params=[of_compose, of_chart], ids=["compose", "chart"])
def hardened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """The service in such a container, with the embedded model."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root and mount namespaces")
    hardening: Hardening = request.param()
    folder = tmp_path_factory.mktemp("container")
    port = free_port()
    arguments = [str(make(folder / "root")), hardening.user, hardening.tmpfs]
    for place in (sys.base_prefix, sys.prefix, str(ROOT)):
        arguments += ["--see", place]
    for number, inside in enumerate(hardening.writable):
        arguments += ["--write", f"{make(folder / str(number))}:{inside}"]
    environment = {
        **hardening.folders,
        "PATH": os.defpath,
        "HOME": "/home/bentoml",
        "LANG": "C.UTF-8",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WHISPER_MODEL": "demo",
        "BENTOML_CONFIG": str(ROOT / "configuration.yaml"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    served = [sys.executable, "-m", "bentoml", "serve", "--working-dir", str(ROOT), "service:TranscriptionService"]
    assigned = [f"{name}={value}" for name, value in environment.items()]
    command = ["unshare", "--mount", str(SCRIPT), *arguments, "--", "env", "--ignore-environment", *assigned, *served]
    log = folder / "log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        service = LocalService(f"http://127.0.0.1:{port}", log, process)
        try:
            wait_until_ready(service)
            yield service
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def wait_until_ready(service: LocalService) -> None:
    deadline = time.monotonic() + READY_SECONDS
    answer = ""
    while time.monotonic() < deadline and service.process.poll() is None:
        with suppress(httpx.TransportError):
            response = httpx.get(f"{service.url}/health/ready")
            if response.status_code == httpx.codes.OK:
                return
            answer = response.text
        time.sleep(0.2)
    pytest.fail(f"not ready: {answer}\n{service.log.read_text()}")


def test_it_transcribes(hardened: LocalService, spoken_clip: SpokenClip) -> None:
    answer = send(hardened, spoken_clip)
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == spoken_clip.text


def test_it_does_jobs(hardened: LocalService, spoken_clip: SpokenClip) -> None:
    job = send(hardened, spoken_clip, {"async": "true"}).json()["job_id"]
    deadline = time.monotonic() + JOB_SECONDS
    while (status := httpx.get(f"{hardened.url}/status/{job}").json())["status"] not in ("completed", "failed"):
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    assert status["status"] == "completed"


def test_its_decoders_are_in_their_sandbox(hardened: LocalService) -> None:
    (line,) = [line for line in hardened.log.read_text().splitlines() if '"message": "sandbox"' in line]
    assert '"seccomp": true' in line
    assert '"level": "INFO"' in line


def test_it_writes_nowhere_else(hardened: LocalService, spoken_clip: SpokenClip) -> None:
    send(hardened, spoken_clip)
    log = hardened.log.read_text()
    assert "Read-only file system" not in log
    assert "Permission denied" not in log


def test_its_root_can_really_not_be_written(hardened: LocalService) -> None:
    mounts = Path(f"/proc/{hardened.process.pid}/mounts").read_text().splitlines()
    options = {line.split()[1]: line.split()[3].split(",") for line in mounts}
    assert "ro" in options["/"]
    status = Path(f"/proc/{hardened.process.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "Uid:\t1034" in status


def test_every_probe_of_the_chart_and_of_compose_is_answered(hardened: LocalService) -> None:
    documents = manifests(DEPLOY / "helm" / "examples" / "minimal.yaml", PASSWORD)
    (api,) = [item for item in of_kind("Deployment", documents) if item["metadata"]["name"].endswith("-api")]
    (container,) = api["spec"]["template"]["spec"]["containers"]
    asked = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    for path in asked | {"/metrics"}:
        assert httpx.get(hardened.url + path).status_code == 200, path


def send(service: LocalService, clip: SpokenClip, fields: dict[str, str] | None = None) -> httpx.Response:
    with clip.path.open("rb") as file:
        return httpx.post(f"{service.url}/transcribe", files={"file": file}, data=fields or {}, timeout=60)
