"""Every import that docs/ARCHITECTURE.md does not allow fails `make check`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("formats", "runners", "transcription")
FORBIDDEN = [
    ("transcription/core/audio.py", "transcription.telemetry.logs"),
    ("transcription/core/audio.py", "runners.client.interface"),
    ("transcription/system/malloc.py", "transcription.telemetry.logs"),
    ("transcription/telemetry/logs.py", "transcription.outbound.http_client"),
    ("transcription/outbound/http_client.py", "transcription.media.probe"),
    ("transcription/bentoml_patches/time_limit.py", "transcription.api.app"),
    ("transcription/media/probe.py", "transcription.pipeline.transcribe"),
    ("transcription/media/probe.py", "runners.client.interface"),
    ("transcription/media/probe.py", "formats.registry"),
    ("transcription/pipeline/transcribe.py", "transcription.jobs.job"),
    ("transcription/pipeline/transcribe.py", "runners.whisper"),
    ("transcription/pipeline/transcribe.py", "formats.registry"),
    ("transcription/jobs/service.py", "transcription.api.errors"),
    ("transcription/jobs/service.py", "runners.whisper"),
    ("transcription/jobs/job.py", "transcription.bentoml_patches.time_limit"),
    ("transcription/api/errors.py", "transcription.cli.main"),
    ("transcription/cli/output.py", "transcription.api.errors"),
    ("transcription/api/errors.py", "runners.whisper"),
    ("transcription/api/errors.py", "transcription.media.decode"),
    ("transcription/api/errors.py", "transcription.outbound.http_client"),
    ("formats/json.py", "transcription.telemetry.logs"),
    ("formats/json.py", "runners.client.interface"),
    ("runners/client/interface.py", "transcription.media.probe"),
    ("runners/client/interface.py", "formats.registry"),
    ("formats/json.py", "formats.registry"),  # a circle
]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source, where a test may change it."""
    folder = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "web"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_source_keeps_every_rule(copied: Path) -> None:
    result = lint(copied)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("importer", "imported"), FORBIDDEN)
def test_a_forbidden_import_is_refused(copied: Path, importer: str, imported: str) -> None:
    path = copied / importer
    source = path.read_text()
    path.write_text(f"{source}\n\ndef late() -> None:\n    import {imported}\n")
    try:
        result = lint(copied)
    finally:
        path.write_text(source)
    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout


def test_a_new_package_must_have_its_place_among_the_layers(copied: Path) -> None:
    package = copied / "transcription" / "newcomer"
    package.mkdir()
    (package / "__init__.py").touch()
    try:
        result = lint(copied)
    finally:
        shutil.rmtree(package)
    assert result.returncode == 1
    assert "transcription.newcomer" in result.stdout
