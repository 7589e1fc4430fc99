"""Which runner gets a window. Decides only: no I/O, no clock.

Two random runners are compared, and the one with the shorter backlog is taken: with states half a second old, always
taking the best of all would send everyone to the same one (Mitzenmacher, "The Power of Two Choices in Randomized Load
Balancing", 2001). A model that no runner has in memory is loaded by one, which every client computes alike from the
names (rendezvous hashing, Thaler and Ravishankar, 1998).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from runners.client.interface import ModelState, RunnerState

SPREAD_SECONDS = 30.0  # of backlog where a model is loaded, above which another runner loads it too
COMPARED = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A runner that takes windows.

    name: its address. loaded, known: canonical names of models. backlog: seconds until a new window is decoded.
    """

    name: str
    loaded: frozenset[str]
    known: frozenset[str]
    backlog: float


def choose(candidates: Sequence[Candidate], model: str, draw: random.Random) -> Candidate | None:
    """The runner for a window; None if none serves the model."""
    serving = [each for each in candidates if model in each.known]
    loaded = [each for each in serving if model in each.loaded]
    others = sorted((each for each in serving if model not in each.loaded), key=lambda each: _weight(each, model))
    best = _of_two(loaded, draw) if loaded else None
    if best is None or (others and best.backlog > SPREAD_SECONDS and others[-1].backlog < best.backlog):
        return others[-1] if others else best
    return best


def combined(states: Sequence[RunnerState], model: str) -> RunnerState:
    """One state for the pool. states: of the runners that answer; never empty. model: the default one.

    It is ready if a runner that serves the default model is. The backlog is that of the runner with the shortest one.
    """
    ready = [each for each in states if each.ready and any(known.name == model for known in each.models)]
    models: dict[str, ModelState] = {}
    for each in (model for state in states for model in state.models):
        seen = models.get(each.name, each)
        models[each.name] = ModelState(each.name, seen.on_disk or each.on_disk, seen.loaded or each.loaded)
    error = next((state.error for state in states if state.error), "")
    return RunnerState(
        ready=bool(ready),
        device=", ".join(sorted({state.device for state in states})),
        compute_type=", ".join(sorted({state.compute_type for state in states})),
        models=tuple(models.values()),
        error="" if ready else error,
        backlog_seconds=min(state.backlog_seconds for state in ready or states),
    )


def _of_two(candidates: Sequence[Candidate], draw: random.Random) -> Candidate:
    return min(draw.sample(list(candidates), min(COMPARED, len(candidates))), key=lambda each: each.backlog)


def _weight(candidate: Candidate, model: str) -> bytes:
    return hashlib.sha256(f"{candidate.name}\0{model}".encode()).digest()
