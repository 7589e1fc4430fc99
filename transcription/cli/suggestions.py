"""Names that a mistyped one resembles."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SIMILARITY = 0.6  # of difflib: 0 for nothing in common, 1 for the same


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that names the most similar name, with a space before it; "" if none is similar."""
    names = {each.lower(): each for each in known}
    nearest = difflib.get_close_matches(name.lower(), names, n=1, cutoff=SIMILARITY)
    return f" Did you mean '{names[nearest[0]]}'?" if nearest else ""
