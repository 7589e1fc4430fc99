"""Every file, module, link and command in the documents exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.docs.documents import DOCUMENTS, LINK, ROOT, anchors, name

OTHERS = [
    *(path for path in (ROOT / "deploy").rglob("*") if path.suffix in {".yaml", ".txt", ".tpl", ".conf", ".example"}),
    *(ROOT / ".github").rglob("*.yml"),
    *(ROOT / name for name in (".ci/run", ".env.example", "Makefile", "bentofile.yaml")),
]
FOLDERS = "benchmarks|deploy|docs|formats|models|runners|samples|scripts|tests|transcription"
# A path has a file ending or ends in a slash; `tests/unit` alone counts, too.
PATH = re.compile(rf"(?<![\w/.<^-])(?<!\^\()((?:{FOLDERS})/[\w./*-]*[\w/*])")
# Files of the old layout, too, when they are written in backticks: `jobs/engine.py`.
QUOTED = re.compile(r"`([\w.-]+/[\w./-]+\.(?:py|lua|js|yaml|md))`")
TEST_FILE = re.compile(r"(?<![\w/.*])(test_\w+\.py)")
SOURCE_FILE = re.compile(r"`(\w+\.(?:py|lua|js))`")
MODULE = re.compile(r"-[mA] ((?:benchmarks|models|scripts|tests|transcription)[\w.]*)")
TARGET = re.compile(r"(?:^|`)make ([a-z]+(?:-[a-z]+)*)\b", re.MULTILINE)
SOURCES = {path.name for folder in FOLDERS.split("|") for path in (ROOT / folder).rglob("*") if path.is_file()}
# Written when the service is built or runs.
MADE = re.compile(r"deploy/compose/(transcription)?\.env")
# Of other projects, which decision records cite.
FOREIGN = {"_internal/marshal/dispatcher.py", "torch/_tensor.py"}


def unknown_paths(text: str) -> list[str]:
    """Paths in a text that lead to no file and no folder of the repository."""
    return [
        path
        for path in sorted({*PATH.findall(text), *QUOTED.findall(text)} - FOREIGN)
        if not MADE.match(path) and not (ROOT / path).exists() and not list(ROOT.glob(path))
    ]


def module_exists(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


@pytest.mark.parametrize("document", [*DOCUMENTS, *sorted(OTHERS)], ids=name)
def test_a_document_names_only_files_that_exist(document: Path) -> None:
    assert unknown_paths(document.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_file_names_without_a_folder_exist_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = {*TEST_FILE.findall(text), *SOURCE_FILE.findall(text)} - {"service.py", "program.py"}
    assert sorted(named - SOURCES) == []


@pytest.mark.parametrize("document", [*DOCUMENTS, *sorted(OTHERS)], ids=name)
def test_modules_that_are_run_exist(document: Path) -> None:
    modules = set(MODULE.findall(document.read_text(encoding="utf-8")))
    assert [module for module in sorted(modules) if not module_exists(module)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(document.read_text(encoding="utf-8"))) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_to_a_file_and_to_a_heading(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for file, anchor in sorted(set(LINK.findall(text))):
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), file
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), f"{file}#{anchor}"


@pytest.mark.parametrize("text", ["`jobs/engine.py`", "formats/nothing.py", "deploy/compose/nothing.yaml"])
def test_an_unknown_path_is_found(text: str) -> None:
    assert len(unknown_paths(text)) == 1


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 140


def test_every_document_is_on_the_map() -> None:
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"]({path.name})" in text


def test_every_decision_record_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    text = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.glob("0*.md"):
        assert f"]({path.name})" in text


def test_every_package_is_in_the_table_of_the_architecture() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = {path.parent for path in (ROOT / "transcription").glob("*/__init__.py")}
    for package in (*packages, ROOT / "formats", ROOT / "runners"):
        assert f"| `{name(package)}/` |" in text
