"""Mounted applications and middlewares of a service, created only in the process that serves it.

BentoML 1.4.39 imports `service.py` in three processes: the supervisor, the API and the runner. It reads the mounted
applications and the middlewares of a service only to serve it, or to describe it in a Bento. Importing the API takes a
second of CPU, which the supervisor and the runner need not spend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Deferred(list[T]):
    """A list whose items are made when it is first iterated over.

    make: called once, from the first iteration.
    """

    def __init__(self, make: Callable[[], Iterable[T]]) -> None:
        super().__init__()
        self._make: Callable[[], Iterable[T]] | None = make

    def __iter__(self) -> Iterator[T]:
        if self._make is not None:
            make, self._make = self._make, None
            self.extend(make())
        return super().__iter__()
