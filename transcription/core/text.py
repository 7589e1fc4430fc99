"""What can be said of a text without knowing its language."""

from __future__ import annotations

import zlib


def compression_ratio(text: str) -> float:
    """How often the text repeats itself: its bytes before and after compression. Plain speech stays below 2.4."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))
