"""API keys for a service under test, and the file that lists them."""

from __future__ import annotations

from scripts.make_key import entry_text
from transcription.api.middleware.api_keys import KeyEntry, digest_of

KEY, OTHER_KEY = "k" * 43, "o" * 43  # the first is valid from the start, and every request sends it


def entry(name: str, key: str, *, admin: bool = False) -> str:
    """A key as the file has it."""
    return entry_text(KeyEntry(name=name, sha256=digest_of(key), admin=admin)) + "\n"
