"""Removes the paths of this machine's files from texts for clients, whom they would tell how the server is set up."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

PLACEHOLDER = "[path]"


def without_paths(text: str) -> str:
    """The text with PLACEHOLDER for each absolute path. URLs stay, and routes unless a folder of `/` has that name."""
    return _pattern().sub(PLACEHOLDER, text) if "/" in text else text


@cache
def _pattern() -> re.Pattern[str]:
    """A path begins with the name of something in `/`."""
    top = "/+(?:" + "|".join(re.escape(entry.name) for entry in Path("/").iterdir()) + ")"
    quoted = "|".join(rf"(?<={quote}){top}/[^{quote}\n]*(?={quote})" for quote in "'\"`")  # may contain spaces
    bare = rf"(?<![\w:/.-]){top}(?:/[^\s'\"`,;:)]*|(?![\w./-]))"
    return re.compile(f"{quoted}|{bare}")
