"""The model that is measured: released weights, or a scripted checkpoint of a released size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.make_model import SIZES, write_model
from runners.models.catalogue import EMBEDDED_MODEL, canonical, check_known, folder_of, is_complete
from scripts.download_models import fetch_model
from transcription.core.errors import ModelUnavailable, UnknownModel
from transcription.core.settings import default_cache, load_settings

RELEASED, QUICK = "base", "tiny.en"
SCRIPTED, QUICK_SCRIPTED = "base", "tiny"
SCRIPTED_MODELS = default_cache() / "benchmark"
PATIENCE = 10.0  # seconds that a package index may take to answer before the embedded model is used


@dataclass(frozen=True, slots=True)
class Weights:
    """folder: of the model. scripted: whether `make_model` wrote it."""

    folder: Path
    scripted: bool = False

    def settings(self) -> dict[str, str]:
        """As environment variables of the service."""
        settings = {"WHISPER_MODEL": self.folder.name, "WHISPER_MODEL_DIR": str(self.folder.parent)}
        if self.scripted:
            # It says as many words in 3 s as in 30, which never passes the check of a short context.
            settings["ENCODER_CONTEXT"] = "full"
        return settings


def released(name: str | None, root: Path | None, *, quick: bool) -> Weights:
    """A released model, fetched if it is missing. root: folder of models, by default WHISPER_MODEL_DIR.

    Without a name it is `base`; if quick, it is `tiny.en`, or the embedded model where that cannot be had.
    Raises UnknownModel, ModelUnavailable.
    """
    settings = load_settings()
    if root is not None:
        settings = settings.model_copy(update={"whisper_model_dir": root.resolve()})
    chosen = canonical(name or (QUICK if quick else RELEASED))
    check_known(chosen, settings)
    if not is_complete(folder_of(chosen, settings)):
        try:
            fetch_model(chosen, settings, patience=PATIENCE if quick else None)
        except ModelUnavailable as error:
            if name or not quick:
                raise
            print(f"{error.detail or error.message}\nUsing the embedded model instead.", flush=True)
            chosen = EMBEDDED_MODEL
    return Weights(folder_of(chosen, settings))


def scripted(name: str | None, root: Path | None, *, quick: bool) -> Weights:
    """A scripted checkpoint, written if it is missing. root: folder of models, by default SCRIPTED_MODELS.

    Raises UnknownModel, FileNotFoundError without the vocabulary.
    """
    size, root = name or (QUICK_SCRIPTED if quick else SCRIPTED), root or SCRIPTED_MODELS
    if size not in SIZES:
        raise UnknownModel(f"'{size}' is not a size of the scripted checkpoint. Sizes: {', '.join(SIZES)}.")
    if not is_complete(root / size):
        write_model(size, root)
    return Weights(root / size, scripted=True)
