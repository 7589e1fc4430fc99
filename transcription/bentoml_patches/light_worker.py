"""The command of the API's and the runner's process, with less to import than BentoML's own.

BentoML 1.4.39 starts `python -m _bentoml_impl.worker.service`. Almost a third of the CPU time until such a process is
ready goes into what it never uses: the client of BentoCloud with its hundreds of schemas, the supervisor's arbiter, the
command line of httpx; and into the garbage collector, which runs with Python's thresholds until service.py is imported.
The supervisor starts this module, which leaves them out and does the same.

It runs before BentoML is imported: neither it nor the package imports anything at the top but the standard library.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

OURS = "transcription.bentoml_patches.light_worker"
ROOT = Path(__file__).resolve().parents[2]
# BentoML imports classes from these, for annotations and as bases of classes that only the supervisor instantiates.
UNUSED = (
    "bentoml._internal.cloud",
    "bentoml._internal.cloud.client",
    "bentoml._internal.cloud.config",
    "bentoml._internal.cloud.schemas",
    "bentoml._internal.cloud.schemas.modelschemas",
    "bentoml._internal.cloud.schemas.schemasv1",
    "circus",
    "circus.arbiter",
)


class Unused(ModuleType):
    """Has every class that is imported from it. None of them does anything."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__module__": self.__name__})


def install() -> None:
    """Let the supervisor start its processes with this module. Call in the supervisor, before it makes watchers."""
    from _bentoml_impl.server import serving  # type: ignore[import-untyped]

    serving._SERVICE_WORKER_SCRIPT = OURS
    # A Bento is served from another folder than that of its sources.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


def leave_out_what_is_unused() -> None:
    """Call before the first import of BentoML."""
    for name in UNUSED:
        sys.modules[name] = Unused(name)
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # as if the extra `cli` were not installed


def main() -> None:
    """What BentoML's command does, with its arguments."""
    from transcription.system.garbage import collect_rarely

    collect_rarely()
    leave_out_what_is_unused()
    from _bentoml_impl.worker.service import main as serve  # type: ignore[import-untyped]

    serve()


if __name__ == "__main__":
    main()
