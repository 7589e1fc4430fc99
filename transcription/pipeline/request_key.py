"""The key of a request: two requests with the same key have the same transcript."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Protocol

from pydantic import TypeAdapter

from runners.models.catalogue import folder_of
from transcription.core.errors import UnknownModel
from transcription.core.options import TranscriptionRequest
from transcription.core.provenance import SPEAKER_RULES, TEXT_RULES, digest_of_model, digest_of_sources, libraries
from transcription.core.settings import Settings
from transcription.core.transcript import PlacedResult
from transcription.diarization.weights import weights_folder
from transcription.media.decode import find_ffmpeg

_REQUEST = TypeAdapter(TranscriptionRequest)
GPU = "nvidia[0-9]*"  # device nodes of GPUs, in /dev


class Content(Protocol):
    """A recording, as an upload or as that of a job: its SHA-256, its name and its declared media type."""

    @property
    def sha256(self) -> str: ...
    @property
    def filename(self) -> str: ...
    @property
    def content_type(self) -> str: ...


def request_key(
    content: Content, request: TranscriptionRequest, settings: Settings, caller: str, *, lenient: bool = False
) -> str:
    """A hexadecimal SHA-256 of everything that the transcript depends on.

    That is: the bytes of the recording, every option, and what computes it, see `computed_by`; also our own rules and
    the weights for telling speakers apart, if that is asked for. The extension of the file name and the declared media
    type are included where a file that contradicts them is refused: unless `lenient`.
    caller: the name of the API key, "" without keys. Callers share no work, because the time of an answer alone would
    tell that another one sent the same recording before.
    """
    checked = settings.strict_media_types and not lenient
    name_and_type = (PurePath(content.filename).suffix.lower(), content.content_type) if checked else ("", "")
    options = _REQUEST.dump_python(request, mode="json")
    engine = computed_by(request.decode.model, settings)
    speakers = speakers_by(settings.whisper_model_dir) if request.speakers else ()
    work = digest(content.sha256, *name_and_type, engine, options, *speakers)
    return digest(caller, work) if caller else work


def computed_by(model: str, settings: Settings) -> str:
    """A hexadecimal SHA-256 of what computes a transcript here and now, beside the recording and the options.

    The version of the service, the settings that change the text, whether there is a GPU for `auto`, the versions of
    the libraries, our own rules, the model's files, and ffmpeg. MAX_DURATION is one of the settings: a longer recording
    is refused, and a stored result would let it pass.
    """
    has_gpu = any(Path("/dev").glob(GPU))
    chosen = settings.whisper_device, settings.whisper_compute_type, settings.max_duration, has_gpu
    rules = digest_of_sources(TEXT_RULES)
    return digest(settings.app_version, chosen, libraries(), rules, _digest_of(model, settings), _ffmpeg(settings))


def speakers_by(model_dir: Path) -> tuple[str, ...]:
    """What tells speakers apart here and now: our own rules, and the weights. model_dir: WHISPER_MODEL_DIR."""
    return digest_of_sources(SPEAKER_RULES), digest_of_model(weights_folder(model_dir))


def still_valid(known: Sequence[PlacedResult], engine: str) -> list[PlacedResult]:
    """The windows, from the first on, that this engine would decode to the same. engine: of `computed_by`."""
    return list(takewhile(lambda placed: placed.computed_by == engine, known))


def digest(*parts: object) -> str:
    """A hexadecimal SHA-256 of JSON-serializable values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _digest_of(model: str, settings: Settings) -> str:
    try:
        return digest_of_model(folder_of(model, settings))
    except UnknownModel:  # the run refuses it
        return ""


def _ffmpeg(settings: Settings) -> tuple[str, int]:
    """FFMPEG_PATH, and the size of the program: its version without running it, the same wherever the image is."""
    try:
        return str(settings.ffmpeg_path or ""), find_ffmpeg(settings).stat().st_size
    except OSError:
        return str(settings.ffmpeg_path or ""), 0
