"""The Lua script that runs every step in Redis, joined from the files of `scripts/`."""

from __future__ import annotations

from pathlib import Path

# In this order: later files use the functions of earlier ones.
FILES = (
    "common",
    "turns",
    "files",
    "transitions",
    "ahead",
    "jobs",
    "results",
    "versions",
    "queue",
    "messages",
    "deliveries",
    "maintenance",
)
RUN_STEP = """
local refusal = too_new()
if refusal then return redis.error_reply(refusal) end
return steps[step]()
"""


def load_script() -> str:
    """The source of the whole script. Line numbers in error messages of Redis count from the first file."""
    folder = Path(__file__).parent / "scripts"
    return "\n".join([*((folder / f"{name}.lua").read_text(encoding="utf-8") for name in FILES), RUN_STEP])
