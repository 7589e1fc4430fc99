"""The path prefix under which a reverse proxy publishes the service."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

# No empty segment, which would name another host in a link, and none that begins with a dot.
PATTERN = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


def checked_root_path(value: str) -> str:
    """The prefix without a final slash. Raises ValueError if it is not a plain path."""
    path = value.rstrip("/")
    if not PATTERN.fullmatch(path):
        raise ValueError("must be a path such as /speech, of letters, digits and ._~-")
    return path


RootPath = Annotated[str, AfterValidator(checked_root_path)]
