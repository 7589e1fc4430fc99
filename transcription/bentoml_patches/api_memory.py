"""The allocator of the process that serves HTTP, which BentoML 1.4.39 cannot set for that process alone.

The `envs` of a service hold for those it depends on as well, and the model's process needs the opposite.
"""

from __future__ import annotations

import os
from typing import Any

from transcription.system.malloc import RETURN_MEMORY

SERVES_HTTP = "service"  # BentoML's name for that process


def install() -> None:
    """Start that process with RETURN_MEMORY, unless the operator has set one of its variables.

    Call in the supervisor, before it makes watchers.
    """
    from circus import watcher  # type: ignore[import-untyped]

    class Watcher(watcher.Watcher):  # type: ignore[misc]
        """Starts a process. name, env: its name and what is added to the supervisor's environment."""

        def __init__(self, name: str, *args: Any, env: dict[str, str] | None = None, **options: Any) -> None:
            if name == SERVES_HTTP and not RETURN_MEMORY.keys() & os.environ.keys():
                env = {**RETURN_MEMORY, **(env or {})}
            super().__init__(name, *args, env=env, **options)

    watcher.Watcher = Watcher
