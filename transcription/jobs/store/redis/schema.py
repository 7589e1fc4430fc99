"""The version of what is stored in Redis. Numbers are those of the SQLite store's releases, see its `schema.py`."""

from __future__ import annotations

SCHEMA_VERSION = 9
# Raise it to SCHEMA_VERSION with a change that an older program would misread: docs/decisions/0034-unreadable-rows.md.
# While a result is in the recording store, `scripts/files.lua` requires version 9.
MINIMUM_READER = 7
NEWER = "NEWERSCHEMA"  # how the script's refusal begins
