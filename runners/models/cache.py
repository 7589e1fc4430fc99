"""Models in memory: loaded on first use, the least recently used one dropped when there are too many."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

Model = TypeVar("Model")


@dataclass(slots=True, eq=False)
class _Entry(Generic[Model]):
    """users: leases that are held or waited for. model: None until it is loaded."""

    loading: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None
    users: int = 0


class ModelCache(Generic[Model]):
    """At most `capacity` models in memory, unless more are in use at the same time. Thread-safe.

    locate: folder of a model by name; may take as long as a download.
    load: reads it into memory.
    Both may raise; the next lease tries again.
    """

    def __init__(self, capacity: int, locate: Callable[[str], Path], load: Callable[[str, Path], Model]) -> None:
        self._capacity = capacity
        self._locate = locate
        self._load = load
        self._lock = threading.Lock()  # never held while a model loads
        self._entries: OrderedDict[str, _Entry[Model]] = OrderedDict()  # least recently used first

    def loaded(self) -> frozenset[str]:
        """Names of the models in memory. Never waits for one that is loading."""
        with self._lock:
            return frozenset(name for name, entry in self._entries.items() if entry.model is not None)

    def load(self, name: str) -> None:
        """Make sure that the model is in memory now. Raises what `lease` raises."""
        with self.lease(name):
            pass

    @contextmanager
    def lease(self, name: str) -> Iterator[Model]:
        """The model, loaded if need be, and kept in memory until the block ends.

        One thread loads a model while others that want the same one wait; other models are not held up.
        Raises what `locate` and `load` raise.
        """
        with self._lock:
            entry = self._entries.setdefault(name, _Entry())
            entry.users += 1
            self._entries.move_to_end(name)
        try:
            yield self._loaded_model(name, entry)
        finally:
            with self._lock:
                entry.users -= 1
                if entry.users == 0 and entry.model is None:
                    del self._entries[name]
                self._make_room()

    def _loaded_model(self, name: str, entry: _Entry[Model]) -> Model:
        with entry.loading:
            if entry.model is None:
                folder = self._locate(name)
                with self._lock:
                    self._make_room()  # before loading, so that memory never holds one model too many
                entry.model = self._load(name, folder)
            return entry.model

    def _make_room(self) -> None:
        idle = [name for name, entry in self._entries.items() if entry.users == 0]
        for name in idle[: max(0, len(self._entries) - self._capacity)]:
            del self._entries[name]
