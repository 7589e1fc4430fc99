"""The version of what is stored in Redis. Numbers are those of the SQLite store's releases, see its `schema.py`."""

from __future__ import annotations

SCHEMA_VERSION = 8
# Raise it to SCHEMA_VERSION with a change that an older program would misread: docs/decisions/0034-unreadable-rows.md.
MINIMUM_READER = 7
NEWER = "NEWERSCHEMA"  # how the script's refusal begins
