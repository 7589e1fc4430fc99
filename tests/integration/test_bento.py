"""The project builds into a Bento offline, which serves from anywhere and containerizes as it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.clips import SpokenClip
from tests.support.deployment import CHART, DEPLOY, load
from tests.support.service import ROOT, local_service


@pytest.fixture(scope="module")
def bento_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BentoML home that holds the freshly built Bento and nothing else."""
    home = tmp_path_factory.mktemp("bentoml")
    subprocess.run(
        [sys.executable, "-m", "bentoml", "build"],
        cwd=ROOT,
        env={**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"},
        check=True,
        capture_output=True,
    )
    return home


@pytest.fixture(scope="module")
def bento(bento_home: Path) -> Path:
    (folder,) = [path for path in (bento_home / "bentos" / "transcription").iterdir() if path.is_dir()]
    return folder


@pytest.fixture(scope="module")
def container_file(bento: Path) -> list[str]:
    return (bento / "env" / "docker" / "Dockerfile").read_text().splitlines()


def test_it_serves_and_transcribes_from_another_folder(
    bento_home: Path, tmp_path: Path, spoken_clip: SpokenClip
) -> None:
    environment = {
        "BENTOML_HOME": str(bento_home),
        "WHISPER_MODEL": "demo",
        "TEMP_DIR": str(tmp_path / "uploads"),
    }
    with local_service(environment, tmp_path / "log", target="transcription:latest", cwd=tmp_path) as service:
        file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
        answer = httpx.post(f"{service.url}/transcribe", files=file, timeout=60)
    assert answer.json()["text"] == spoken_clip.text


def test_it_is_named_transcription_and_needs_both_services(bento: Path) -> None:
    manifest = yaml.safe_load((bento / "bento.yaml").read_text())
    assert manifest["name"] == "transcription"
    assert {service["name"] for service in manifest["services"]} == {"transcription", "whisper_runner"}


def test_it_holds_the_embedded_model_and_no_tests(bento: Path) -> None:
    assert (bento / "src" / "models" / "demo" / "model.bin").is_file()
    assert not (bento / "src" / "tests").exists()


def pins(requirements: str) -> set[str]:
    """Every pinned version and every hash, however the file is laid out."""
    return set(re.findall(r"^[\w.-]+==[\w.+-]+|--hash=sha256:\w+", requirements, re.MULTILINE))


def test_it_installs_what_the_lock_file_names_with_hashes(bento: Path) -> None:
    pinned = pins((ROOT / "requirements.lock").read_text())
    assert pinned
    assert pinned <= pins((bento / "env" / "python" / "requirements.txt").read_text())


def test_its_container_has_no_compiler_and_one_ffmpeg(container_file: list[str], bento: Path) -> None:
    assert not any("apt-get" in line for line in container_file)
    assert any(line.startswith("imageio-ffmpeg==") for line in (bento / "src" / "requirements.lock").open())


def test_uv_and_what_packages_do_not_need_are_not_left_in_the_image(container_file: list[str], bento: Path) -> None:
    """Our own `uv` is there before BentoML looks for one, see container_uv.py."""
    assert (bento / "env" / "docker" / "container_uv.py").is_file()
    assert pins((bento / "env" / "docker" / "uv.lock").read_text()) <= pins(
        (ROOT / "requirements-dev.lock").read_text()
    )
    commands = [line for line in container_file if line.startswith("RUN ")]
    ours = next(number for number, line in enumerate(commands) if "container_uv.py" in line)
    assert commands[ours + 1] == "RUN command -v uv >/dev/null || pip install uv"


def test_a_change_of_the_code_installs_nothing_again(container_file: list[str]) -> None:
    def position(text: str) -> int:
        return next(number for number, line in enumerate(container_file) if text in line)

    assert position("pip install -r") < position("COPY --chown=bentoml:bentoml . ./")
    assert not any("./src" in line for line in container_file if line.startswith("COPY"))


def test_its_container_runs_as_an_ordinary_user(container_file: list[str]) -> None:
    users = [line.split()[1] for line in container_file if line.startswith("USER ")]
    assert users[-1] == "bentoml"
    assert container_file.index("USER bentoml") < next(
        number for number, line in enumerate(container_file) if line.startswith("ENTRYPOINT")
    )


def test_its_container_knows_where_models_uploads_and_jobs_go(container_file: list[str], bento: Path) -> None:
    assert "ARG WHISPER_MODEL_DIR=/models" in container_file
    assert "ARG TEMP_DIR=/tmp/transcription" in container_file
    assert "ARG JOBS_DIR=/jobs" in container_file
    (script,) = (bento / "env" / "docker").glob("script__*")
    assert "chown bentoml:bentoml /models /jobs /tmp/transcription" in script.read_text()


def test_its_container_has_the_user_that_compose_and_the_chart_name(container_file: list[str]) -> None:
    user = load(DEPLOY / "compose" / "single.yaml")["services"]["transcription"]["user"]
    context = load(CHART / "values.yaml")["podSecurityContext"]
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert f"ARG BENTO_USER_UID={context['runAsUser']}" in container_file
    assert f"ARG BENTO_USER_GID={context['runAsGroup']}" in container_file


def test_workers_find_their_sources_where_compose_and_the_chart_look(container_file: list[str], bento: Path) -> None:
    assert "ARG BENTO_PATH=/home/bentoml/bento" in container_file
    assert "ARG BENTOML_CONFIG=/home/bentoml/bento/src/configuration.yaml" in container_file
    assert load(DEPLOY / "compose" / "cluster.yaml")["services"]["worker"]["working_dir"] == "/home/bentoml/bento/src"
    assert (bento / "src" / "configuration.yaml").is_file()
    assert (bento / "src" / "transcription" / "jobs" / "cluster" / "celery.py").is_file()


def run_entrypoint(bento: Path, folder: Path, *command: str) -> str:
    """What the container's entry point runs, with a `bentoml` that only says how it was called."""
    stand_in = folder / "bentoml"
    stand_in.write_text('#!/bin/sh\necho "bentoml $*"\n')
    stand_in.chmod(0o755)
    environment = {"PATH": f"{folder}{os.pathsep}{os.defpath}", "BENTO_PATH": "/home/bentoml/bento"}
    script = str(bento / "env" / "docker" / "entrypoint.sh")
    run = subprocess.run(
        ["bash", script, *command], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


def test_its_container_serves_when_no_command_is_given(bento: Path, tmp_path: Path) -> None:
    assert run_entrypoint(bento, tmp_path) == "bentoml serve /home/bentoml/bento"


def test_its_container_runs_the_commands_of_workers_as_they_are(bento: Path, tmp_path: Path) -> None:
    assert (
        run_entrypoint(bento, tmp_path, "echo", "-A", "transcription.jobs.cluster.celery")
        == "-A transcription.jobs.cluster.celery"
    )
