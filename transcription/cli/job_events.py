"""Reads the events of a job, as GET /jobs/{id}/events sends them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

ENDS = frozenset({"completed", "failed", "cancelled"})


def events_in(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream and their data; for a comment, which shows that the server is there, ("", {}).

    The format is that of server-sent events in the HTML standard, section 9.2.6, of which the server uses `event` and
    `data`. An event that was cut off is left out.
    """
    kind, data = "message", ""
    for line in lines:
        if not line:
            if data:
                yield kind, json.loads(data)
            kind, data = "message", ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not field:
            yield "", {}
        elif field == "event":
            kind = value
        elif field == "data":
            data += value
