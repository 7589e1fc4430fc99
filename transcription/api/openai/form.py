"""The form of OpenAI's audio API, in the spellings of its clients, to single values and lists.

A list may be sent as `name[]`, repeated, as `name[0]`, `name[1]`, as one part with commas, or as one part with a JSON
array; `chunking_strategy` as parts such as `chunking_strategy[type]`, or as one part with a JSON object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from transcription.core.errors import InvalidParameter
from transcription.core.languages import AUTO

GRANULARITIES, INCLUDE, KEYWORDS, LANGUAGES = "timestamp_granularities", "include", "keywords", "languages"
SPEAKER_NAMES = ("known_speaker_names", "known_speaker_references")
LIST_NAMES = frozenset({GRANULARITIES, INCLUDE, KEYWORDS, LANGUAGES, *SPEAKER_NAMES})
COMMA_NAMES = frozenset({GRANULARITIES, INCLUDE, LANGUAGES})  # lists whose items contain no comma
LANGUAGE = "language"
CHUNKING = "chunking_strategy"
BRACKETS = re.compile(r"\[[0-9]{0,3}\]$")
MAX_SHOWN_CHARACTERS = 80
NOT_JSON = (ValueError, RecursionError)  # also for integers of thousands of digits, and for arrays in arrays in ...


@dataclass(slots=True)
class Form:
    """Form fields with a value. singles: by name. lists: by name without brackets."""

    singles: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def list_of(self, name: str) -> list[str]:
        """The items of a list; empty if it was not sent."""
        return self.lists.get(name, [])

    def add(self, name: str, value: str) -> None:
        """Add a single value. Raises InvalidParameter if there is one already."""
        if name in self.singles:
            raise InvalidParameter(f"'{name}' is given twice. Send it once.", parameter=name)
        self.singles[name] = value


def read_form(fields: Iterable[tuple[str, str]], known: frozenset[str]) -> Form:
    """The fields by name. known: the names of a route, those of lists without brackets.

    Raises InvalidParameter for an unknown name, a name that is given twice and invalid JSON.
    """
    form = Form()
    for sent, value in fields:
        name = BRACKETS.sub("", sent)
        if name not in known or (sent != name and name not in LIST_NAMES):
            raise _unknown(sent)
        if not _is_given(name, value):
            continue
        if name in LIST_NAMES:
            form.lists.setdefault(name, []).extend(_items(name, value))
        elif name == CHUNKING:
            for each, setting in _chunking(value, known):
                form.add(each, setting)
        else:
            form.add(name, value)
    return form


def _is_given(name: str, value: str) -> bool:
    """Whether a field says something: OpenAI's clients send unset parameters as empty fields, or as null in JSON."""
    text = value.strip()
    unset = {LANGUAGE: AUTO, CHUNKING: "null"}.get(name, "")
    return text.lower() not in ("", unset)


def _items(name: str, value: str) -> Iterator[str]:
    document = _array_or_text(value.strip())
    for item in document if isinstance(document, list) else [document]:
        if not isinstance(item, str):
            raise InvalidParameter(f"'{name}' must be a list of strings.", parameter=name)
        for part in item.split(",") if name in COMMA_NAMES else (item,):
            if part.strip():
                yield part.strip()


def _array_or_text(text: str) -> Any:
    if not text.startswith(("[", '"')):
        return text
    try:
        return json.loads(text)
    except NOT_JSON:
        return text  # a keyword such as [laughter]


def _chunking(value: str, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The fields that one part with the whole strategy stands for. Its value is a word or JSON."""
    text = value.strip()
    try:
        document = json.loads(text) if text.startswith(("{", "[", '"')) else text
    except NOT_JSON:
        raise InvalidParameter(f"'{CHUNKING}' is not valid JSON.", parameter=CHUNKING) from None
    if isinstance(document, str):
        yield CHUNKING, document
        return
    if not isinstance(document, dict):
        raise InvalidParameter(f"'{CHUNKING}' must be a word or a JSON object.", parameter=CHUNKING)
    for key, setting in document.items():
        name = f"{CHUNKING}[{key}]"
        if name not in known:
            raise _unknown(name)
        if setting is None:
            continue
        if isinstance(setting, bool | list | dict):
            raise InvalidParameter(f"'{name}' must be a number or a word.", parameter=CHUNKING)
        yield name, str(setting)


def _unknown(name: str) -> InvalidParameter:
    shown = name[:MAX_SHOWN_CHARACTERS]
    return InvalidParameter(f"Unknown parameter: '{shown}'.", parameter=shown)
