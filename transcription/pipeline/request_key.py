"""The key of a request: two requests with the same key have the same transcript."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePath

from pydantic import TypeAdapter

from transcription.core.options import TranscriptionRequest
from transcription.core.settings import Settings
from transcription.media.intake.upload import Upload
from transcription.pipeline.computed_by import computed_by

_REQUEST = TypeAdapter(TranscriptionRequest)


def request_key(upload: Upload, request: TranscriptionRequest, settings: Settings, caller: str) -> str:
    """A hexadecimal SHA-256 of everything that the transcript depends on.

    That is: the bytes of the recording, the model, every option, and what computes it, see `computed_by`.
    The extension of the file name and the declared media type are included where a file that contradicts them is
    refused. caller: the name of the API key, "" without keys. Callers share no work, because the time of an answer
    alone would tell that another one sent the same recording before.
    """
    checked = settings.strict_media_types and not upload.lenient
    name_and_type = (PurePath(upload.filename).suffix.lower(), upload.content_type) if checked else ("", "")
    by = computed_by(settings, request.decode.model)
    options = _REQUEST.dump_python(request, mode="json")
    work = digest(upload.sha256, *name_and_type, *by, options)
    return digest(caller, work) if caller else work


def digest(*parts: object) -> str:
    """A hexadecimal SHA-256 of JSON-serializable values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
