"""A recording, and the command that transcribes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.clips import SpokenClip
from tests.support.command import COMMAND, Done, Run, environment
from tests.support.service import LocalService


@pytest.fixture
def talk(tmp_path: Path, spoken_clip: SpokenClip) -> Path:
    """A recording in a folder of its own."""
    path = tmp_path / "talks" / "talk.mp3"
    path.parent.mkdir()
    path.write_bytes(spoken_clip.path.read_bytes())
    return path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the command with these arguments until it ends."""

    def call(*arguments: object, input: bytes | None = None, **more: str) -> Done:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env={**environment(tmp_path), **more},
            input=input,
            stdin=None if input is not None else subprocess.DEVNULL,
            capture_output=True,
            timeout=100,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture(params=["server", "here"])
def anywhere(request: pytest.FixtureRequest, on_the_server: list[str]) -> list[str]:
    """The arguments that select the server, or none for this process."""
    return on_the_server if request.param == "server" else []


@pytest.fixture
def on_the_server(service: LocalService) -> list[str]:
    """For what is the same with and without a server, which needs a third of the CPU: the model is loaded there."""
    return ["--server", service.url]
