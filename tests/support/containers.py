"""Start commands as the containers of deploy/ would, without a container engine. See as_a_container.sh."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.deployment import ROOT
from tests.support.service import ask

SCRIPT = Path(__file__).with_name("as_a_container.sh")
READY_SECONDS = 90.0
STOP_SECONDS = 60.0  # stop_grace_period and terminationGracePeriodSeconds
COMMON = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
    "HOME": "/home/bentoml",
    "LANG": "C.UTF-8",
    "HOST": "127.0.0.1",
    "WHISPER_MODEL": "demo",
    "BENTOML_CONFIG": str(ROOT / "configuration.yaml"),
    "BENTOML_DO_NOT_TRACK": "True",
}


@dataclass(frozen=True, slots=True)
class Hardening:
    """How a container is started.

    tmpfs: options of /tmp. writable: folders of volumes. environment: settings. private: the folders among `writable`
    that no other container has.
    """

    user: str
    tmpfs: str
    writable: tuple[str, ...]
    environment: Mapping[str, str]
    private: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Container:
    """A running one. log: everything it printed so far."""

    process: subprocess.Popen[bytes]
    log: Path


def of_compose(service: Mapping[str, Any]) -> Hardening:
    """What a service of a Compose file asks for. Docker adds options of its own to memory that is mounted."""
    (tmpfs,) = service["tmpfs"]
    volumes = tuple(volume.split(":")[1] for volume in service.get("volumes", []))
    return Hardening(service["user"], f"{tmpfs.partition(':')[2]},noexec,nosuid,nodev", volumes, service["environment"])


def of_pod(pod: Mapping[str, Any], settings: Mapping[str, str]) -> Hardening:
    """What a pod of one container asks for. settings: its ConfigMap."""
    (container,) = pod["containers"]
    private = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] != "/tmp"}
    own = {item["name"]: item["value"] for item in container["env"] if "value" in item}
    return Hardening(
        user="{runAsUser}:{runAsGroup}".format(**pod["securityContext"]),
        tmpfs="size=1g,mode=1777",
        writable=tuple(mounts),
        environment={**settings, **own},
        private=frozenset(place for place, name in mounts.items() if name in private),
    )


@contextmanager
def contained(
    name: str, hardening: Hardening, folder: Path, environment: Mapping[str, str], command: list[str]
) -> Iterator[Container]:
    """Run a command in the folder of the sources. Volumes are in `folder`, and shared by all that are started there.

    environment: over that of the container. Skips the test where the kernel does not let us.
    """
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root and mount namespaces")
    root = folder / f"{name}-root"
    root.mkdir()
    arguments = [str(root), hardening.user, hardening.tmpfs]
    for place in (sys.base_prefix, str(ROOT), sys.prefix):  # what lies in another comes after it
        arguments += ["--see", place]
    for inside in hardening.writable:
        owner = f"{name}-" if inside in hardening.private else ""
        volume = folder / (owner + inside.strip("/").replace("/", "-"))
        volume.mkdir(exist_ok=True)
        arguments += ["--write", f"{volume}:{inside}"]
    assigned = [f"{key}={value}" for key, value in {**hardening.environment, **COMMON, **environment}.items()]
    start = ["env", "--ignore-environment", f"--chdir={ROOT}", *assigned, *command]
    log = folder / f"{name}.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["unshare", "--mount", str(SCRIPT), *arguments, "--", *start], stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            yield Container(process, log)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def wait_until(answers: Callable[[], bool], container: Container) -> None:
    """Fail with the log when it does not come up."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and container.process.poll() is None:
        if answers():
            return
        time.sleep(0.2)
    pytest.fail(f"not ready:\n{container.log.read_text()[-4000:]}")


def says_yes(url: str) -> bool:
    try:
        return ask(url, timeout=5).is_success
    except httpx.TransportError:
        return False
