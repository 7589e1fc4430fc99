"""What computes a transcript: the versions, settings and model files that its text depends on.

Part of the key of stored results, so that a result is not served any more once one of them has changed.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from transcription.core.settings import EMBEDDED_MODEL_DIR, Settings

# Raise it when the same recording and options give another transcript than before, for whatever reason.
# 2: a decoder that was stopped no longer counts as the end of the file.
REVISION = 2
# Those that decode, detect speech and transcribe.
PACKAGES = ("faster-whisper", "ctranslate2", "tokenizers", "onnxruntime", "av", "imageio-ffmpeg")


def computed_by(settings: Settings, model: str) -> tuple[object, ...]:
    """JSON-serializable values that differ where transcripts may differ. model: its name."""
    return (
        REVISION,
        *_versions(),
        settings.app_version,
        settings.whisper_device,
        settings.whisper_compute_type,
        settings.max_duration,  # a longer recording is refused, and a stored result would let it pass
        str(settings.ffmpeg_path or ""),
        *_model_file(settings, model),
    )


@cache
def _versions() -> tuple[str, ...]:
    return tuple(_version(package) for package in PACKAGES)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _model_file(settings: Settings, model: str) -> tuple[int, int]:
    """Size and time of the weights, which an operator may replace under the same name; zeros if they are elsewhere."""
    for folder in (settings.whisper_model_dir, EMBEDDED_MODEL_DIR):
        try:
            found = (folder / model / "model.bin").stat()
        except (OSError, ValueError):
            continue
        return found.st_size, found.st_mtime_ns
    return 0, 0
