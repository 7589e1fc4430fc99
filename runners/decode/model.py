"""A loaded model, and its loading from a folder."""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from faster_whisper import WhisperModel

from runners.decode.arrays import Arrays
from runners.decode.features import choose_arrays
from runners.decode.prompt import CONTEXT, context_of
from runners.placement import CUDA, DeviceLayout, Placement
from transcription.core.errors import ModelUnavailable

CUBLAS_PACKAGE = "nvidia-cublas-cu12"
CUBLAS_LIBRARY = "libcublas.so.12"


@dataclass(frozen=True, slots=True, eq=False)
class ModelHandle:
    """A loaded model. Every method of `whisper` and `arrays` may be called from several threads at once.

    arrays: the array operations around the model, on its device. context: tokens of prompt and answer together.
    aligns: whether words can be timed; models that an old version converted lack what that needs.
    """

    name: str
    whisper: WhisperModel
    arrays: Arrays
    context: int = CONTEXT
    aligns: bool = True


def open_model(name: str, folder: Path, placement: Placement, layout: DeviceLayout, number: int = 0) -> ModelHandle:
    """Load a model from its folder, with a worker for every slot. number: of the GPU.

    Raises ModelUnavailable.
    """
    if not (folder / "tokenizer.json").is_file():
        # faster-whisper would fetch one from the hub, which might not match the model's vocabulary.
        raise ModelUnavailable(f"The model '{name}' has no tokenizer.json in its folder. Copy it from its repository.")
    if placement.device == CUDA:
        load_cublas()
    try:
        whisper = WhisperModel(
            str(folder),
            device=placement.device,
            device_index=number,
            compute_type=placement.compute_type,
            cpu_threads=layout.threads,
            num_workers=layout.slots,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelUnavailable(
            f"The model '{name}' cannot be loaded. Delete its folder in WHISPER_MODEL_DIR to fetch it again, or "
            "replace it with a Whisper model in CTranslate2's format.",
            detail=str(error),
        ) from error
    arrays = choose_arrays(placement, whisper.feature_extractor, number)
    return ModelHandle(name, whisper, arrays, context_of(folder), _has_alignment_heads(folder))


def _has_alignment_heads(folder: Path) -> bool:
    try:
        return "alignment_heads" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def load_cublas() -> None:
    """Load the cuBLAS of the extra `gpu`, if it is installed; otherwise CTranslate2 looks for the system's.

    CTranslate2 loads it by its bare name at the first multiplication, and pip's folder is on no search path. A library
    that is already loaded is found by that name.
    Raises ModelUnavailable if the library is installed but cannot be loaded.
    """
    try:
        files = metadata.files(CUBLAS_PACKAGE) or ()
    except metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name != CUBLAS_LIBRARY:
            continue
        try:
            ctypes.CDLL(str(file.locate()))
        except OSError as error:
            raise ModelUnavailable(
                f"No model can run on the GPU: {CUBLAS_LIBRARY} cannot be loaded. Install {CUBLAS_PACKAGE} again.",
                detail=str(error),
            ) from error
