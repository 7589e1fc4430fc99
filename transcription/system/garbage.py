"""How often the garbage collector runs: rarely while a process starts, and in the API in larger steps than by default.

Imports make hundreds of thousands of objects and leave no garbage. With Python's thresholds, scanning them takes a
third of a start's CPU time.
"""

from __future__ import annotations

import gc

_USUAL = gc.get_threshold()
_STARTING = (50_000, 20, 50)  # a handful of young collections in a start, and no full one
# With Python's 700, the objects of requests that are being served count as old: with 1,100 connections a full
# collection stopped the event loop for 0.3 s, every three seconds.
_SERVING = (10_000, 10, 10)


def collect_rarely() -> None:
    """Raise the thresholds. For the begin of a start, before the imports."""
    gc.set_threshold(*_STARTING)


def collect_as_usual() -> None:
    """Exempt what is there from collection, and restore Python's thresholds. For the end of a start.

    Imported modules are never freed, and scanning them would block an event loop for 0.3 s.
    """
    gc.freeze()
    gc.set_threshold(*_USUAL)


def collect_while_serving() -> None:
    """As `collect_as_usual`, with thresholds for a process that serves a thousand connections."""
    collect_as_usual()
    gc.set_threshold(*_SERVING)
