"""The order in which the processes of a service stop: first those that serve HTTP, then those that they depend on.

The supervisor of BentoML 1.4.39 removes their sockets first, and then stops all of them at once. The model would be
gone when a live session asks it for the last text, and a request for its next window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from transcription.bentoml_patches.api_memory import SERVES_HTTP


def install() -> None:
    """Stop the others once the processes that serve HTTP have ended. Call in the supervisor, before it is made."""
    from bentoml._internal.utils import circus
    from circus.arbiter import Arbiter  # type: ignore[import-untyped]

    circus.Arbiter._stop_watchers = _stop_watchers
    circus.Arbiter.stop = Arbiter.stop  # type: ignore[method-assign]  # which removes nothing first


async def _stop_watchers(
    self: Any, close_output_streams: bool = False, watcher_iter_func: Callable[..., Iterable[Any]] | None = None
) -> None:
    """In place of the method of circus's Arbiter. A watcher starts and stops the processes of one kind."""
    from tornado import gen

    watchers = list((watcher_iter_func or self.iter_watchers)(reverse=False))
    for first in (True, False):
        await gen.multi([each._stop(close_output_streams) for each in watchers if (each.name == SERVES_HTTP) is first])
    if self._stopping:
        self.exit_stack.close()  # removes the folder of the sockets
