"""WS /v1/realtime, called by others as they are: OpenAI's client for Node, LiveKit's plugin, Pipecat's service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.clips import ACCEPTABLE_LOSS, SpokenClip, words_missing
from tests.support.pcm import as_pcm
from tests.support.service import ROOT, LocalService
from tests.support.tls_tunnel import tls_tunnel

NODE_PROGRAM = ROOT / "tests" / "support" / "typescript" / "realtime.mjs"
NODE_MODULES = ROOT / ".venv" / "typescript" / "node_modules"
AGENTS = ROOT / "tests" / "support" / "voice_agents"
AGENTS_PYTHON = ROOT / ".venv" / "voice_agents" / "bin" / "python"
TIME_LIMIT = 120  # seconds; importing LiveKit's packages takes many of them on a busy machine

needs_agents = pytest.mark.skipif(
    not AGENTS_PYTHON.exists(), reason="needs LiveKit's plugin and Pipecat: make tools installs them"
)


@pytest.fixture(scope="module")
def recording(spoken_clip: SpokenClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip as int16 samples at 24 kHz."""
    path = tmp_path_factory.mktemp("recording") / "clip.pcm"
    path.write_bytes(as_pcm(spoken_clip.path, 24_000))
    return path


def printed(*command: str | Path, **environment: str) -> Any:
    """The JSON in the last line of what a program printed. It must succeed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIME_LIMIT, env={**os.environ, **environment}, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_openais_client_for_node(
    service: LocalService, recording: Path, spoken_clip: SpokenClip, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if not node or not (NODE_MODULES / "openai").is_dir():
        pytest.skip("needs Node 20 or newer and OpenAI's client: make tools installs them")
    program = tmp_path / NODE_PROGRAM.name
    shutil.copy(NODE_PROGRAM, program)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES.resolve())
    certificate = tmp_path / "certificate.pem"
    with tls_tunnel(service.url, certificate) as address:
        answer = printed(node, program, address, recording, NODE_EXTRA_CA_CERTS=str(certificate))
    assert answer["transcript"] == spoken_clip.text
    assert answer["types"][:2] == ["session.created", "session.updated"]
    assert "conversation.item.input_audio_transcription.delta" in answer["types"]


@needs_agents
def test_livekits_plugin(service: LocalService, recording: Path, spoken_clip: SpokenClip) -> None:
    """With the first model the service ends the turn, with the second one LiveKit's own voice activity detection."""
    models = ("gpt-4o-mini-transcribe", "gpt-realtime-whisper")
    for events in printed(AGENTS_PYTHON, AGENTS / "livekit_program.py", service.url, recording, *models):
        assert [events[0]["type"], events[-1]["type"]] == ["start_of_speech", "final_transcript"]
        assert words_missing(spoken_clip.text, events[-1]["text"]) <= ACCEPTABLE_LOSS


@needs_agents
def test_pipecats_service(service: LocalService, recording: Path, spoken_clip: SpokenClip) -> None:
    answers = printed(AGENTS_PYTHON, AGENTS / "pipecat_program.py", service.url, recording)
    assert set(answers) == {"client", "server"}  # who ends the turn
    for texts in answers.values():
        assert [texts[0]["type"], texts[-1]["type"]] == ["interim", "final"]
        assert words_missing(spoken_clip.text, texts[-1]["text"]) <= ACCEPTABLE_LOSS
