"""Every import that docs/ARCHITECTURE.md does not allow fails `make check`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("formats", "runners", "transcription")
FORBIDDEN = [
    ("transcription.core.audio", "transcription.telemetry.logs"),
    ("transcription.core.options", "runners.client.interface"),
    ("transcription.system.malloc", "transcription.telemetry.logs"),
    ("transcription.telemetry.logs", "transcription.outbound.http_client"),
    ("transcription.telemetry.tracing", "runners.host"),
    ("transcription.outbound.http_client", "transcription.media.probe"),
    ("transcription.outbound.address_rules", "runners.host"),
    ("transcription.bentoml_patches.time_limit", "transcription.api.app"),
    ("transcription.bentoml_patches.deferred", "runners.host"),
    ("transcription.media.probe", "transcription.pipeline.transcribe"),
    ("transcription.media.decode", "runners.client.interface"),
    ("transcription.media.windows", "formats.registry"),
    ("transcription.diarization.turns", "transcription.media.windows"),
    ("transcription.diarization.diarizer", "transcription.system.malloc"),
    ("transcription.diarization.sessions", "runners.host"),
    ("transcription.pipeline.transcribe", "transcription.jobs.job"),
    ("transcription.pipeline.assemble", "runners.whisper"),
    ("transcription.pipeline.transcriber", "formats.registry"),
    ("transcription.jobs.service", "transcription.api.errors"),
    ("transcription.jobs.worker", "runners.host"),
    ("transcription.jobs.cluster.worker_process", "runners.whisper"),
    ("transcription.jobs.job", "transcription.bentoml_patches.time_limit"),
    ("transcription.api.errors", "transcription.cli.main"),
    ("transcription.api.admission", "runners.host"),
    ("transcription.api.answer", "transcription.media.decode"),
    ("transcription.api.caller", "transcription.media.media"),
    ("transcription.api.page", "transcription.outbound.http_client"),
    ("transcription.cli.output", "transcription.api.errors"),
    ("transcription.cli.main", "runners.decode.engine"),
    ("formats.text", "transcription.telemetry.logs"),
    ("formats.json", "runners.client.interface"),
    ("transcription.pipeline.single_flight", "runners.pool.pool"),
    ("transcription.api.dependencies", "runners.pool.pool"),
    ("runners.pool.pool", "transcription.outbound.http_client"),
    ("runners.client.wire", "transcription.media.probe"),
    ("runners.client.interface", "formats.registry"),
]
CIRCLE = ("formats.verbose_json", "formats.registry")


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


@pytest.fixture(scope="module")
def report(copied: Path) -> str:
    """What the linter reports once every forbidden import has been added."""
    sources = {}
    for importer, imported in (*FORBIDDEN, CIRCLE):
        path = copied / f"{importer.replace('.', '/')}.py"
        source = sources.setdefault(path, path.read_text())
        path.write_text(f"{source}\n\ndef late() -> None:\n    import {imported}\n")
    try:
        return lint(copied).stdout
    finally:
        for path, source in sources.items():
            path.write_text(source)


@pytest.mark.parametrize(("importer", "imported"), FORBIDDEN)
def test_a_forbidden_import_is_reported(report: str, importer: str, imported: str) -> None:
    assert re.search(rf"\b{re.escape(importer)} -> {re.escape(imported)}\b", report), report


def test_a_circle_is_reported(report: str) -> None:
    assert "No circles between the modules and packages of a package BROKEN" in report


def test_a_new_package_must_have_its_place_among_the_layers(copied: Path) -> None:
    package = copied / "transcription" / "unlisted"
    package.mkdir()
    (package / "__init__.py").touch()
    try:
        result = lint(copied)
    finally:
        shutil.rmtree(package)
    assert result.returncode == 1
    assert "transcription.unlisted" in result.stdout
