"""What makes two requests the same work."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import PurePath

from pydantic import TypeAdapter

from transcription.core.options import TranscriptionRequest
from transcription.core.settings import Settings
from transcription.jobs.job import KeptLayout
from transcription.media.intake.upload import Upload

_REQUEST = TypeAdapter(TranscriptionRequest)


def work_of(upload: Upload, request: TranscriptionRequest, settings: Settings) -> str:
    """The same for requests that must have the same answer: bytes of audio, model, every option, and what decodes them.

    A hexadecimal SHA-256. The name's ending and the declared type are in it, since a file that is not what they say
    is refused.
    """
    ending = PurePath(upload.filename).suffix.lower()
    computed_by = settings.app_version, settings.whisper_device, settings.whisper_compute_type
    return _digest(upload.sha256, ending, upload.content_type, *computed_by, _REQUEST.dump_python(request, mode="json"))


def fingerprint_of(work: str, response_format: str, callback_url: str | None, layout: KeptLayout | None = None) -> str:
    """The same for submissions that ask for the same in every respect."""
    parts = (work, response_format, callback_url)
    # Without a layout as it was before there were layouts, so that older keys still match.
    return _digest(*parts, asdict(layout)) if layout else _digest(*parts)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
