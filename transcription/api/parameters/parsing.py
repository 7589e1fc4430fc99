"""Parses the query and the form of a request into parameters."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from transcription.api.parameters.transcription import TranscriptionParameters
from transcription.core.errors import InvalidParameter

FILE = "file"
URL = "url"
NAMES: tuple[str, ...] = tuple(field.alias or name for name, field in TranscriptionParameters.model_fields.items())


def parse_parameters(query: Iterable[tuple[str, str]], form: Iterable[tuple[str, str]] = ()) -> TranscriptionParameters:
    """Parameters from a query and a form; the form takes precedence. Empty values count as missing.

    Raises InvalidParameter, which names all invalid parameters, or suggests one that an unknown name resembles.
    """
    given = {**_single_values(query, "query"), **_single_values(form, "form")}
    try:
        return TranscriptionParameters.model_validate(given)
    except ValidationError as error:
        raise InvalidParameter(*_explain(error)) from None


def json_fields(form: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Decode form fields from BentoML's clients, whose values are JSON, to plain text. null becomes an empty value."""
    return [(name, _plain(value)) for name, value in form]


def _plain(value: str) -> str:
    try:
        decoded: Any = json.loads(value)
    except (ValueError, RecursionError):  # no JSON, a number of thousands of digits, or nested too deeply
        return value
    if decoded is None:
        return ""
    return _without_surrogates(decoded) if isinstance(decoded, str) else value


def _without_surrogates(text: str) -> str:
    """The text with half of a surrogate pair, which no encoding has, replaced: JSON can write it as an escape."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _single_values(pairs: Iterable[tuple[str, str]], place: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in NAMES:
            raise InvalidParameter(_unknown(name, place))
        if name in values:
            raise InvalidParameter(f"'{name}' is given twice in the {place}. Send it once.")
        values[name] = value
    return {name: value for name, value in values.items() if value.strip()}


def _unknown(name: str, place: str) -> str:
    if name == FILE:
        return f"'{FILE}' must be a file part of the multipart form, not text in the {place}."
    if name == URL:
        return f"'{URL}' is supported by /transcribe only. Send the file itself as '{FILE}'."
    nearest = difflib.get_close_matches(name.lower(), NAMES, n=1, cutoff=0.5)
    remedy = f"Did you mean '{nearest[0]}'?" if nearest else f"Known parameters: {', '.join((FILE, *NAMES))}."
    return f"There is no parameter '{name[:80]}'. {remedy}"


def _explain(error: ValidationError) -> tuple[str, str]:
    """A message for the client, and a detail that shows the values that were sent."""
    problems, sent = [], []
    for item in error.errors():
        name = str(item["loc"][0])
        problems.append(f"{name}: {item['msg']}")
        sent.append(f"{name}={str(item['input'])[:80]!r}")
    return "; ".join(problems) + ".", ", ".join(sent)
