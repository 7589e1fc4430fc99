"""Names of models as OpenAI's and other vendors' clients send them, and the models of this service that they mean."""

from __future__ import annotations

import re

from runners.models.catalogue import CATALOGUE, check_allowed
from transcription.core.errors import InvalidParameter, ModelNotAllowed, UnknownModel
from transcription.core.settings import Settings

# Names that are built into clients; GET /v1/models lists them. They select the default model of this service.
DIARIZE = "diarize"
ALIASES = (
    *("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe"),
    f"gpt-4o-transcribe-{DIARIZE}",
)
# gpt-transcribe, gpt-4o-mini-transcribe-2025-12-15, gpt-4o-transcribe-diarize, gpt-realtime-whisper: OpenAI's own.
_GPT = re.compile(r"gpt-([a-z0-9.]+-)*(transcribe|whisper)(-[a-z0-9.]+)*")
_SEPARATORS = re.compile("[-_ :]+")
_ENGLISH = "en"
_SIZES = ("tiny", "base", "small", "medium", "large")
_VERSION = re.compile(r"v[0-9](\.[0-9])?")
_TURBO, _DISTIL, _WHISPER = "turbo", "distil", "whisper"
# Parts of a name that say who converted a model, for what, how precisely, and when; or, alone, which release is meant.
_INSIGNIFICANT = re.compile(
    "openai|systran|faster|ggml|gguf|ct2|ctranslate2|mlx|onnx|coreml|hf|asr|stt|latest|free|"
    "fp16|fp32|float16|float32|bf16|int8|int4|[48]bit|q[0-9]|k|m|s|v?[0-9]{8}|[0-9]{1,4}"
)


def resolve(name: str, settings: Settings) -> str:
    """The model of this service that a client's name for a model means.

    That is the model of this name; or, for OpenAI's models, and for Whisper under the name of a vendor or a repository,
    such as openai/whisper-large-v3 and Systran/faster-whisper-small.en, the same model if requests may name it, else
    the default model.
    Raises UnknownModel, ModelNotAllowed.
    """
    name = name.strip()
    if _is_allowed(name, settings):
        return name
    meant = _meant(name.lower().rpartition("/")[2], vendor="/" in name)
    if meant is None:
        raise _refused(name)
    return meant if meant and _is_allowed(meant, settings) else settings.whisper_model


def resolve_deployment(name: str, settings: Settings) -> str:
    """The model that a deployment of Azure's means: the one of this name, else the default one.

    Deployments have names of their owner's choice, such as "our-whisper".
    """
    try:
        return resolve(name, settings)
    except (UnknownModel, ModelNotAllowed):
        return settings.whisper_model


def is_diarizing(name: str) -> bool:
    """Whether this is the name of a model of OpenAI's that tells speakers apart."""
    meant = name.strip().lower().rpartition("/")[2]
    return bool(_GPT.fullmatch(meant)) and DIARIZE in meant.split("-")


def _refused(name: str) -> InvalidParameter:
    if name in CATALOGUE:
        return ModelNotAllowed(
            f"The model '{name}' is not available on this server. GET /v1/models lists those that are; the operator "
            "can allow others with ALLOWED_MODELS.",
            parameter="model",
        )
    return UnknownModel(f"The model '{name[:80]}' does not exist. GET /v1/models lists the models.", parameter="model")


def _is_allowed(name: str, settings: Settings) -> bool:
    try:
        check_allowed(name, settings)
    except (UnknownModel, ModelNotAllowed):
        return False
    return True


def _meant(name: str, *, vendor: bool) -> str | None:
    """The name in the catalogue that a name means, "" for the default model; None if it does not mean a Whisper model.

    name: lower case, without the vendor. vendor: whether one was named, as in Systran/large-v3.
    """
    if _GPT.fullmatch(name):
        return ""
    if vendor and name in CATALOGUE:
        return name
    parts = [part for part in _SEPARATORS.split(name.replace(f".{_ENGLISH}", f"-{_ENGLISH}")) if part]
    if _WHISPER not in parts and _DISTIL not in parts:
        return None
    return _in_catalogue([part for part in parts if part != _WHISPER])


def _in_catalogue(parts: list[str]) -> str | None:
    size = next((part for part in parts if part in _SIZES), "")
    version = next((part for part in parts if _VERSION.fullmatch(part)), "")
    significant = {size, version, _TURBO, _DISTIL, _ENGLISH}
    if any(part not in significant and not _INSIGNIFICANT.fullmatch(part) for part in parts):
        return None
    distil = f"{_DISTIL}-" if _DISTIL in parts else ""
    turbo = _TURBO if _TURBO in parts else ""
    if version or turbo:  # whisper-v3 and whisper-turbo are large
        size, version = size or "large", version or "v3"
    name = distil + "-".join(filter(None, (size, version, turbo)))
    english = f"{name}.{_ENGLISH}"
    if _ENGLISH in parts and english in CATALOGUE:
        return english
    return name if name in CATALOGUE else ""
