"""The cases to measure and their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SERVICE = "service"
FASTER_WHISPER = "faster-whisper"
BATCHED = "BatchedInferencePipeline"
# The same with a worker of one thread per core instead of one worker with all threads.
FASTER_WHISPER_WORKERS = "faster-whisper-workers"
BATCHED_WORKERS = "BatchedInferencePipeline-workers"
WEBSERVICE = "asr-webservice"
FLOOR = "floor"
PEERS = (FASTER_WHISPER, FASTER_WHISPER_WORKERS, BATCHED, BATCHED_WORKERS, WEBSERVICE)
CONTENDERS = (SERVICE, *PEERS, FLOOR)
WEBSERVICE_BEAM = 5  # fixed in its code

LONG_CLIP = 60.0  # seconds; clips at least this long are measured with LONG_CLIP_CLIENTS
LONG_CLIP_CLIENTS = 1


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One load. clip: duration, seconds. clients: concurrent requests. beam: beam size."""

    clip: float
    clients: int
    beam: int


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement of one contender. repetition: from 0."""

    case: Case
    contender: str
    repetition: int


def cases(clips: Sequence[float], clients: Sequence[int], beams: Sequence[int]) -> list[Case]:
    """Every combination, but long clips with one client only: a single one uses the whole device."""
    return [
        Case(clip, count, beam)
        for clip in clips
        for beam in beams
        for count in clients
        if clip < LONG_CLIP or count <= LONG_CLIP_CLIENTS
    ]


def interleave(cases: Sequence[Case], contenders: Sequence[str], repetitions: int) -> Iterator[Run]:
    """Each repetition runs every contender once and starts with a different one.

    Slow changes of the machine, such as its temperature or other load, then affect all contenders alike.
    """
    for case in cases:
        fit = [name for name in contenders if can_run(name, case)]
        for repetition in range(repetitions):
            shift = repetition % max(1, len(fit))
            for name in (*fit[shift:], *fit[:shift]):
                yield Run(case, name, repetition)


def can_run(contender: str, case: Case) -> bool:
    """Whether the contender supports the case."""
    return contender != WEBSERVICE or case.beam == WEBSERVICE_BEAM
