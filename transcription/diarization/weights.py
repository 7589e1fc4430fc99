"""The files of the two models: which folder, and whether they are what they should be."""

from __future__ import annotations

import hashlib
from pathlib import Path

from transcription.core.errors import ModelUnavailable
from transcription.core.settings import EMBEDDED_MODEL_DIR

FOLDER = "diarization"
SEGMENTATION = "segmentation.onnx"
EMBEDDING = "embedding.onnx"
CHECKSUMS = "SHA256SUMS"  # as sha256sum writes it


def weights_folder(model_dir: Path) -> Path:
    """`diarization` in `model_dir` (WHISPER_MODEL_DIR) if there is one, otherwise the embedded weights."""
    own = model_dir / FOLDER
    return own if own.is_dir() else EMBEDDED_MODEL_DIR / FOLDER


def read_weights(folder: Path, name: str) -> bytes:
    """The bytes of a file of weights whose SHA-256 is in the folder's SHA256SUMS.

    Raises ModelUnavailable.
    """
    try:
        expected = _checksums((folder / CHECKSUMS).read_text())
        content = (folder / name).read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelUnavailable(
            f"The weights for telling speakers apart are incomplete: {folder} needs {SEGMENTATION}, {EMBEDDING} and "
            f"{CHECKSUMS}.",
            str(error),
        ) from error
    if hashlib.sha256(content).hexdigest() != expected.get(name):
        raise ModelUnavailable(f"{folder / name} is damaged: its SHA-256 is not the one in {CHECKSUMS}. Copy it again.")
    return content


def _checksums(text: str) -> dict[str, str]:
    rows = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return {name.lstrip("*"): digest for digest, name in rows}
