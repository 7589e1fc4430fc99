"""Which vendor's clients call a path, and how they expect errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from transcription.api.deepgram import errors as deepgram_errors
from transcription.api.openai import errors as openai_errors


@dataclass(frozen=True, slots=True)
class VendorErrors:
    """The errors of one vendor's API.

    status_of: its status for our status and code. headers_of: of an error with its status. document_of: the body, made
    from ours, which may have `param`, and its status.
    """

    status_of: Callable[[int, str], int]
    headers_of: Callable[[int], dict[str, str]]
    document_of: Callable[[Mapping[str, Any], int], dict[str, Any]]


DEEPGRAM = VendorErrors(deepgram_errors.status_of, deepgram_errors.headers_of, deepgram_errors.document_of)
OPENAI = VendorErrors(openai_errors.status_of, openai_errors.headers_of, openai_errors.document_of)


def vendor_of(path: str) -> VendorErrors | None:
    """The vendor whose API a path belongs to; None for our own."""
    if deepgram_errors.is_deepgram(path):  # below the prefix of OpenAI's
        return DEEPGRAM
    return OPENAI if openai_errors.is_openai(path) else None
