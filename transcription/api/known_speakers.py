"""People whose voices a request gives: their names, and a sample of each, as a file or as a data URL (RFC 2397)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transcription.api.dependencies import Backend
from transcription.api.documentation import Document
from transcription.core.errors import InvalidParameter
from transcription.core.speakers import REFERENCES, KnownVoice
from transcription.media.intake.upload import Destination
from transcription.pipeline.speakers import MAX_NAME_CHARACTERS, checked_name

NAMES = "known_speaker_names"
_FIELD = re.compile(rf"({NAMES}|{REFERENCES})(\[[0-9]{{0,3}}\])?")
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)

KNOWN_SCHEMAS: Document = {
    f"{NAMES}[]": {
        "type": "array",
        "items": {"type": "string", "maxLength": MAX_NAME_CHARACTERS},
        "description": f"With diarize: names of people who may speak, each with a sample in {REFERENCES}[].",
    },
    f"{REFERENCES}[]": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Recordings of 2 to 10 s in which only this person speaks: files, or data URLs.",
    },
}

Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording in which the person of this name speaks. content: a file in any format that is accepted."""

    name: str
    content: bytes


def split_known(fields: Fields) -> tuple[list[Sample], list[tuple[str, str]]]:
    """The samples among form fields, and the other fields. Raises InvalidParameter."""
    given: dict[str, list[str]] = {NAMES: [], REFERENCES: []}
    others: list[tuple[str, str]] = []
    for name, value in fields:
        if not (match := _FIELD.fullmatch(name)):
            others.append((name, value))
        elif value.strip():
            given[match[1]].append(value.strip())
    return samples_of(given[NAMES], given[REFERENCES]), others


def samples_of(names: Sequence[str], references: Sequence[str]) -> list[Sample]:
    """The samples of these names, in the same order. references: data URLs. Raises InvalidParameter."""
    if len(names) != len(references):
        raise InvalidParameter(
            f"There are {len(names)} '{NAMES}[]' and {len(references)} '{REFERENCES}[]'. Send a sample for each name.",
            parameter=REFERENCES,
        )
    return [Sample(_name(name), _content(name, url)) for name, url in zip(names, references, strict=True)]


def unheard(samples: Sequence[Sample]) -> tuple[KnownVoice, ...]:
    """The people without their voices: to check the names before the work for the samples."""
    return tuple(KnownVoice(sample.name, ()) for sample in samples)


async def known_voices(samples: Sequence[Sample], backend: Backend) -> tuple[KnownVoice, ...]:
    """The voice in each sample. Raises InvalidParameter, and the errors of media/ and of the models."""
    return tuple([await _voice(sample, backend) for sample in samples])


async def _voice(sample: Sample, backend: Backend) -> KnownVoice:
    with Destination(backend.settings) as destination:
        await destination.write(sample.content)
        await destination.flush()
        upload = replace(destination.upload("", ""), lenient=True)
        return await backend.pipeline.known_voice(sample.name, upload)


def _name(name: str) -> str:
    try:
        return checked_name(name)
    except InvalidParameter as error:
        raise InvalidParameter(error.message, parameter=NAMES) from None


def _content(name: str, url: str) -> bytes:
    match = _DATA_URL.match(url)
    try:
        content = base64.b64decode(url[match.end() :], validate=True) if match else b""
    except binascii.Error:
        content = b""
    if not content:
        raise InvalidParameter(
            f"The sample of '{name[:80]}' must be a file that is not empty, or a data URL with base64, such as "
            "data:audio/wav;base64,UklGR...",
            parameter=REFERENCES,
        )
    return content
