"""How often the garbage collector runs: rarely while a process starts, as usual once it serves.

Imports make hundreds of thousands of objects and leave no garbage. With Python's thresholds, scanning them takes a
third of a start's CPU time.
"""

from __future__ import annotations

import gc

_USUAL = gc.get_threshold()
_STARTING = (50_000, 20, 50)  # a handful of young collections in a start, and no full one


def collect_rarely() -> None:
    """Raise the thresholds. For the begin of a start, before the imports."""
    gc.set_threshold(*_STARTING)


def collect_as_usual() -> None:
    """Exempt what is there from collection, and restore Python's thresholds. For the end of a start.

    Imported modules are never freed, and scanning them would block an event loop for 0.3 s.
    """
    gc.freeze()
    gc.set_threshold(*_USUAL)
