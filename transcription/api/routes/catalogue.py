"""GET /models and GET /languages."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel, Field

from runners.models.catalogue import ModelOnDisk, folder_of, list_allowed
from transcription.api.dependencies import Backend, BackendDependency
from transcription.core.errors import ServiceUnavailable
from transcription.core.languages import LANGUAGES
from transcription.core.settings import Settings

MEGABYTE = 1_000_000
UNKNOWN = "unknown"  # speed and accuracy of a model that is not in the catalogue

router = APIRouter(tags=["catalogue"])


class ModelEntry(BaseModel):
    """One model. loaded: is in memory. on_disk: needs no download. default: is used if a request names none."""

    name: str = Field(examples=["base"])
    size: str = Field(examples=["142 MB"])
    speed: str = Field(description="Relative to large-v3.", examples=["16x"])
    accuracy: str = Field(examples=["Good"])
    loaded: bool
    on_disk: bool
    default: bool


class ModelList(BaseModel):
    """Every model that a request may name."""

    models: list[ModelEntry]
    current_model: str = Field(examples=["base"])


class Language(BaseModel):
    """A language by Whisper's code and English name."""

    code: str = Field(examples=["en"])
    name: str = Field(examples=["English"])


class LanguageList(BaseModel):
    """Every language that a request may name."""

    languages: list[Language]


@router.get("/models", operation_id="list_models")
async def models(backend: BackendDependency) -> ModelList:
    """Every model that a request may name, with its current state."""
    loaded = await _loaded_models(backend)
    known = await asyncio.to_thread(list_allowed, backend.settings)
    return ModelList(
        models=[await asyncio.to_thread(_entry, model, loaded, backend.settings) for model in known],
        current_model=backend.settings.whisper_model,
    )


@router.get("/languages", operation_id="list_languages")
async def languages() -> LanguageList:
    """Every language that a request may name, with its code."""
    return LanguageList(languages=[Language(code=code, name=name) for code, name in LANGUAGES.items()])


async def _loaded_models(backend: Backend) -> frozenset[str]:
    try:
        state = await backend.runner.state()
    except ServiceUnavailable:
        return frozenset()  # a restarting runner has no model in memory
    return frozenset(model.name for model in state.models if model.loaded)


def _entry(model: ModelOnDisk, loaded: frozenset[str], settings: Settings) -> ModelEntry:
    entry = model.entry
    return ModelEntry(
        name=model.name,
        size=entry.size if entry else _size_on_disk(folder_of(model.name, settings)),
        speed=entry.speed if entry else UNKNOWN,
        accuracy=entry.accuracy if entry else UNKNOWN,
        loaded=model.name in loaded,
        on_disk=model.on_disk,
        default=model.name == settings.whisper_model,
    )


def _size_on_disk(folder: Path) -> str:
    if not folder.is_dir():
        return UNKNOWN  # on the disks of runners elsewhere
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return f"{max(1, round(size / MEGABYTE))} MB"
