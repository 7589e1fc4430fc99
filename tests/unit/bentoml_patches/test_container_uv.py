"""What the image does without, and that what is left works."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import botocore.loaders
import botocore.session
import ctranslate2
import pytest

from tests.support.media_files import ROOT
from transcription.bentoml_patches.container_image import locked_uv
from transcription.bentoml_patches.container_uv import (
    DEBUGGED,
    SERVICES,
    UNUSED,
    USED_SERVICES,
    clean,
    fetch,
    strip,
    unused,
)

PACKAGES = Path(ctranslate2.__file__).parents[1]


@pytest.mark.parametrize("pattern", UNUSED)
def test_what_is_deleted_is_there(pattern: str) -> None:
    """Otherwise a new version of a package has it elsewhere."""
    assert any(PACKAGES.glob(pattern))


def test_only_what_is_not_used_is_deleted(tmp_path: Path) -> None:
    kept = ("numpy/lib/__init__.py", "numpy/tests.py", "botocore/data/s3/a.json", "botocore/data/endpoints.json")
    gone = (
        "numpy/tests/a.py",
        "numpy/lib/tests/b.py",
        "numpy/lib/tests/c/tests/d.py",
        "botocore/data/ec2/a.json",
        "onnxruntime/tools/c.py",
    )
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    clean(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(kept)


def test_the_version_of_uv_and_its_hashes_are_those_of_the_lock_file() -> None:
    lock = (ROOT / "requirements-dev.lock").read_text()
    first, *hashes = locked_uv(lock).splitlines()
    assert first.startswith("uv==")
    assert first in lock.splitlines()
    assert hashes
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)


def test_a_lock_file_without_uv_is_an_error() -> None:
    with pytest.raises(ValueError, match="no uv"):
        locked_uv("uvicorn==1 \\\n    --hash=sha256:00\n")


def test_without_its_hash_in_the_lock_file_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)  # this one has pip
    wheel = tmp_path / "uv-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("uv-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: uv\nVersion: 1\n")
        archive.writestr("uv-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("uv-1.dist-info/RECORD", "")
    lock, target = tmp_path / "uv.lock", tmp_path / "target"
    lock.write_text(f"uv @ {wheel.as_uri()}\n")
    with pytest.raises(subprocess.CalledProcessError):
        fetch(lock, str(target))
    lock.write_text(f"uv @ {wheel.as_uri()} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    fetch(lock, str(target))
    assert any(target.glob("uv-1.dist-info"))


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was run of apt-get, strip and rm, a line each. Commands with a word of the file `failing` fail."""
    folder, made = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    made.touch()
    for name in ("apt-get", "strip", "rm"):
        program = folder / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >>{made}\ncase "$*" in *"$FAILING"*) exit 100;; esac\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    return made


def test_debug_information_goes_and_the_tools_for_it_as_well(
    calls: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAILING", "no such word")
    strip([tmp_path / "a.so"])
    update, install, stripped, purge, remove = calls.read_text().splitlines()
    assert update.endswith("update")
    assert install.endswith("install binutils")
    assert stripped == f"strip --strip-debug {tmp_path}/a.so"
    assert purge.endswith("purge --auto-remove binutils")
    assert "/var/lib/apt/lists" in remove


def test_without_a_mirror_of_debian_the_image_is_larger(
    calls: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAILING", "update")
    strip([tmp_path / "a.so"])
    assert "strip" not in calls.read_text()
    assert "67 MB larger" in capfd.readouterr().err


def test_the_extension_has_debug_information() -> None:
    """Otherwise there is nothing to strip any more."""
    (extension,) = PACKAGES.glob(DEBUGGED)
    assert b".debug_info" in extension.read_bytes()


def test_a_bucket_needs_no_other_description_of_a_service(tmp_path: Path) -> None:
    shutil.copytree(
        PACKAGES / SERVICES,
        tmp_path / "data",
        ignore=lambda folder, names: set(names) & {path.name for path in unused(PACKAGES)},
    )
    loader = botocore.loaders.Loader(extra_search_paths=[str(tmp_path / "data")], include_default_search_paths=False)
    session = botocore.session.Session()
    session.register_component("data_loader", loader)
    for service in USED_SERVICES:
        assert session.create_client(service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    assert session.get_available_services() == sorted(USED_SERVICES)
