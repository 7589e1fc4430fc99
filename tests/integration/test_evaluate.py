"""`make evaluate` on the sample recordings, with the embedded model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.evaluate.__main__ import main
from benchmarks.evaluate.systems import IN_PROCESS, SERVICE, Service, SystemFailed, cpu_seconds
from tests.support.clips import SpokenClip
from tests.support.service import ROOT, LocalService


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The sample recordings, as a folder to evaluate."""
    folder = tmp_path / "data"
    shutil.copytree(ROOT / "samples", folder)
    (folder / "transcripts.tsv").rename(folder / "references.tsv")
    return folder


def test_two_systems_are_evaluated_in_one_run(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "ACCURACY.md"
    document.write_text("<!-- figures -->\n<!-- /figures -->\n")
    options = ["--model", "demo", "--limit", "1", "--data", str(data), "--write", str(document)]
    assert main([*options, "--systems", SERVICE, IN_PROCESS]) == 0
    printed = capsys.readouterr().out
    for system in (SERVICE, IN_PROCESS):
        assert f"\n| {system} | 0.00 % (0.00 to 0.00) |" in printed, "an error rate of 0 on all samples"
        assert f"\n| {system} | 100.00 % (100.00 to 100.00) |" in printed, "every language detected"
    assert printed.strip() in document.read_text()


def test_the_service_returns_words_and_its_processes_are_measured(
    service: LocalService, spoken_clips: dict[str, SpokenClip]
) -> None:
    system = Service(service.url, service.process.pid)
    before = cpu_seconds(system.process())
    heard = system.transcribe(spoken_clips["en"].path, words=True)
    assert [word.text for word in heard.words] == heard.text.split()
    assert cpu_seconds(system.process()) > before


def test_a_folder_without_references_is_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path), "--model", "demo"]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/references.tsv cannot be read: No such file or directory.\n"


def test_an_error_of_the_service_names_the_recording(service: LocalService, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    with pytest.raises(SystemFailed, match=r"broken\.wav: the service returned status 4"):
        Service(service.url, service.process.pid).transcribe(broken, words=False)
