"""Clients that openapi-python-client and openapi-typescript make of /openapi.json, calling the service."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.support.clips import SpokenClip
from tests.support.service import ROOT, LocalService
from tests.support.waiting import wait_until

PACKAGE = "generated_client"
TYPESCRIPT = ROOT / "tests" / "support" / "typescript"
NODE_MODULES = ROOT / ".venv" / "typescript" / "node_modules"
GENERATION_TIMEOUT = 120  # seconds

Import = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def document(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(client.get("/openapi.json").content)
    return path


def run(*command: str | Path, cwd: Path) -> str:
    """What a command printed, standard error included. It must succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the generator calls ruff
    done = subprocess.run(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=GENERATION_TIMEOUT,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# Python


@pytest.fixture(scope="module")
def generated(document: Path) -> Iterator[Import]:
    """Imports modules of the generated package, by their name in it."""
    folder = document.parent / "python"
    folder.mkdir()
    generator = Path(sys.executable).with_name("openapi-python-client")
    options = ("--path", document, "--meta", "none", "--output-path", folder / PACKAGE, "--fail-on-warning")
    run(generator, "generate", *options, cwd=folder)
    sys.path.insert(0, str(folder))
    yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def call(generated: Import, service: LocalService) -> Iterator[Callable[..., Any]]:
    """Call an operation, as TAG.NAME; returns the parsed body of the answer."""
    with generated("client").Client(base_url=service.url, timeout=60, raise_on_unexpected_status=True) as client:

        def operate(operation: str, *arguments: Any, **parameters: Any) -> Any:
            return generated(f"api.{operation}").sync(*arguments, client=client, **parameters)

        yield operate


@pytest.fixture
def form(generated: Import, spoken_clip: SpokenClip) -> Callable[..., Any]:
    """A form of this name with the clip; further fields by name."""

    def fill(name: str, field: str = "file", **fields: Any) -> Any:
        content = BytesIO(spoken_clip.path.read_bytes())
        file = generated("types").File(payload=content, file_name=spoken_clip.path.name, mime_type="audio/mpeg")
        return getattr(generated("models"), name)(**{field: file, **fields})

    return fill


def test_a_generated_client_reads_about_the_service(call: Callable[..., Any]) -> None:
    assert call("health.get_health").status == "healthy"
    assert call("health.get_liveness").status == "alive"
    assert call("health.get_readiness").checks.additional_properties["model_loaded"]
    assert call("catalogue.list_models").current_model == "demo"
    assert len(call("catalogue.list_languages").languages) == 100
    assert "whisper-1" in [model.id for model in call("openai.list_openai_models").data]
    assert call("openai.get_openai_model", "whisper-1").object_ == "model"


def test_a_generated_client_transcribes(
    call: Callable[..., Any], form: Callable[..., Any], generated: Import, spoken_clip: SpokenClip
) -> None:
    models = generated("models")
    plain = call("transcription.transcribe", body=form("TranscribeForm"))
    assert isinstance(plain, models.TranscriptionResponse)
    assert plain.text == spoken_clip.text
    verbose = call(
        "transcription.transcribe",
        body=form(
            "TranscribeForm",
            response_format=models.ResponseFormat.VERBOSE_JSON,
            timestamp_granularity=models.Granularity.WORD,
            hallucinations=models.HallucinationPolicy.MARK,
            beam_size=2,
            vad_filter=True,
        ),
        language="en-US",
    )
    assert isinstance(verbose, models.VerboseTranscript)
    assert [word.word for word in verbose.segments[0].words] == spoken_clip.text.split()


def test_a_generated_client_uses_openais_routes(
    call: Callable[..., Any], form: Callable[..., Any], generated: Import
) -> None:
    models = generated("models")
    plain = call("openai.create_transcription", body=form("OpenAITranscriptionForm", model="whisper-1"))
    assert isinstance(plain, models.OpenAITranscription)
    assert [language.code for language in plain.languages] == ["en"]
    words = form(
        "OpenAITranscriptionForm",
        model="whisper-1",
        response_format=models.OpenAIFormat.VERBOSE_JSON,
        timestamp_granularities=[models.Granularity.WORD, models.Granularity.SEGMENT],
        chunking_strategytype=models.ChunkingType.SERVER_VAD,
    )
    verbose = call("openai.create_transcription", body=words)
    assert isinstance(verbose, models.OpenAIVerboseTranscription)
    assert verbose.words
    assert verbose.segments
    assert call("openai.create_translation", body=form("OpenAITranslationForm", model="whisper-1")).text
    for route in ("transcription", "translation"):
        body = form(f"Deployment{route.title()}Form")
        assert call(f"openai.create_deployment_{route}", "our-speech", body=body).text


def test_a_generated_client_uses_the_routes_of_whisper_asr_webservice(
    call: Callable[..., Any], form: Callable[..., Any], generated: Import
) -> None:
    language = call("whisper_asr_webservice.detect_language", body=form("AudioFileForm", "audio_file"))
    assert language.language_code == "en"
    text = call(
        "whisper_asr_webservice.asr",
        body=form("AudioFileForm", "audio_file"),
        output=generated("models").Output.SRT,
    )
    assert " --> " in text


def test_a_generated_client_follows_a_job(
    call: Callable[..., Any], form: Callable[..., Any], generated: Import, spoken_clip: SpokenClip
) -> None:
    models = generated("models")
    accepted = call("transcription.transcribe", body=form("TranscribeForm", async_=True))
    assert isinstance(accepted, models.JobAccepted)
    unfinished = (models.UnfinishedJob,)
    assert wait_until(lambda: not isinstance(call("jobs.get_status", accepted.job_id), unfinished), 60)
    job = call("jobs.get_job", accepted.job_id)
    assert isinstance(job, models.CompletedJob)
    assert job.result.text == spoken_clip.text
    assert call("jobs.get_result", accepted.job_id).text == spoken_clip.text
    assert accepted.job_id in [job.job_id for job in call("jobs.list_jobs", limit=5).jobs]
    assert call("jobs.cancel_job", accepted.job_id).job_id == accepted.job_id


def test_a_generated_client_reads_errors(call: Callable[..., Any], form: Callable[..., Any], generated: Import) -> None:
    models = generated("models")
    ours = call("transcription.transcribe", body=form("TranscribeForm", temperature=7))
    assert isinstance(ours, models.ErrorBody)
    assert ours.error == "invalid_parameter"
    missing = call("jobs.get_job", "no-such-job")
    assert isinstance(missing, models.ErrorBody)
    openais = call("openai.get_openai_model", "gpt-17")
    assert isinstance(openais, models.OpenAIError)
    assert openais.error.code == "model_not_found"


# TypeScript


def test_a_client_in_typescript_compiles_and_calls_the_service(
    document: Path, service: LocalService, spoken_clip: SpokenClip, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if not node or not NODE_MODULES.is_dir():
        pytest.skip("needs Node 18 or newer and openapi-typescript: make tools installs them")
    for name in ("program.ts", "tsconfig.json", "package.json"):
        shutil.copy(TYPESCRIPT / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES.resolve())
    tools = NODE_MODULES / ".bin"
    run(tools / "openapi-typescript", document, "--output", tmp_path / "schema.d.ts", cwd=tmp_path)
    run(tools / "tsc", "--project", tmp_path, cwd=tmp_path)
    printed = json.loads(run(node, "program.js", service.url, spoken_clip.path, cwd=tmp_path))
    subtitles = printed.pop("subtitles")
    assert " --> " in subtitles
    assert printed == {
        "health": "healthy",
        "text": spoken_clip.text,
        "segments": 1,
        "language": "english",
        "words": spoken_clip.text.split(),
        "status": "completed",
        "removed": True,
        "unknown": "model_not_found",
        "wrong": "invalid_parameter",
    }
