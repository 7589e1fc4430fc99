"""What the image does without, and that what is left works."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import botocore.loaders
import botocore.session
import ctranslate2
import pytest

from transcription.bentoml_patches.container_uv import SERVICES, UNUSED, USED_SERVICES, as_loaded, clean, unused

PACKAGES = Path(ctranslate2.__file__).parents[1]
EXTENSION = next(Path(ctranslate2.__file__).parent.glob("_ext*.so"))


@pytest.mark.parametrize("pattern", UNUSED)
def test_what_is_deleted_is_there(pattern: str) -> None:
    """Otherwise a new version of a package has it elsewhere."""
    assert any(PACKAGES.glob(pattern))


def test_only_what_is_not_used_is_deleted(tmp_path: Path) -> None:
    kept = ("numpy/lib/__init__.py", "numpy/tests.py", "botocore/data/s3/a.json", "botocore/data/endpoints.json")
    gone = ("numpy/tests/a.py", "numpy/lib/tests/b.py", "botocore/data/ec2/a.json", "onnxruntime/tools/c.py")
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    clean(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(kept)


def test_a_library_is_smaller_without_debug_information_and_still_works(tmp_path: Path) -> None:
    """The one that has two thirds of a hundred megabytes of it."""
    copy = tmp_path / "ctranslate2"
    copy.mkdir()
    for path in EXTENSION.parent.iterdir():
        (copy / path.name).symlink_to(path)
    for path in PACKAGES.glob("ctranslate2.libs"):
        (tmp_path / path.name).symlink_to(path)
    loaded = as_loaded(EXTENSION.read_bytes())
    assert len(loaded) < EXTENSION.stat().st_size / 10
    (copy / EXTENSION.name).unlink()
    (copy / EXTENSION.name).write_bytes(loaded)
    program = "import ctranslate2, sys; print(ctranslate2.__file__, ctranslate2.get_supported_compute_types('cpu'))"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(copy))
    assert "int8" in done.stdout


def test_a_library_without_anything_else_stays_as_it_works(tmp_path: Path) -> None:
    plain = tmp_path / "plain.so"
    plain.write_bytes(as_loaded(Path(shutil.which("env") or "").resolve().read_bytes()))
    assert as_loaded(plain.read_bytes()) == plain.read_bytes()
    assert as_loaded(b"no library") == b"no library"
    for path in PACKAGES.glob("ctranslate2.libs/libgomp*"):
        plain.write_bytes(as_loaded(path.read_bytes()))
        assert ctypes.CDLL(str(plain)).omp_get_max_threads() > 0


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
