"""The files of the two models: which folder, and whether they are what they should be."""

from __future__ import annotations

import hashlib
from pathlib import Path

from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.errors import ModelUnavailable

FOLDER = "diarization"
SEGMENTATION = "segmentation.onnx"
EMBEDDING = "embedding.onnx"
CHECKSUMS = "SHA256SUMS"  # as sha256sum writes it


def weights_folder(model_dir: Path) -> Path:
    """`diarization` in `model_dir` (WHISPER_MODEL_DIR) if there is one, otherwise the embedded weights."""
    own = model_dir / FOLDER
    return own if own.is_dir() else EMBEDDED_MODEL_DIR / FOLDER


def checked(folder: Path, name: str) -> Path:
    """The path of a file of weights whose SHA-256 is the one in the folder's SHA256SUMS.

    Raises ModelUnavailable.
    """
    try:
        expected = _checksums((folder / CHECKSUMS).read_text())
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelUnavailable(
            f"The weights for telling speakers apart are incomplete: {folder} needs {SEGMENTATION}, {EMBEDDING} and "
            f"{CHECKSUMS}.",
            str(error),
        ) from error
    if digest != expected.get(name):
        raise ModelUnavailable(f"{folder / name} is damaged: its SHA-256 is not the one in {CHECKSUMS}. Copy it again.")
    return folder / name


def check_weights(model_dir: Path) -> None:
    """Check the files that `weights_folder` has. Raises ModelUnavailable."""
    for name in (SEGMENTATION, EMBEDDING):
        checked(weights_folder(model_dir), name)


def _checksums(text: str) -> dict[str, str]:
    rows = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return {name.lstrip("*"): digest for digest, name in rows}
