"""What is measured, in which order. Decides only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SERVICE = "service"
FASTER_WHISPER = "faster-whisper"
BATCHED = "BatchedInferencePipeline"
WEBSERVICE = "asr-webservice"
FLOOR = "floor"
PEERS = (FASTER_WHISPER, BATCHED, WEBSERVICE)
CONTENDERS = (SERVICE, *PEERS, FLOOR)
WEBSERVICE_BEAM = 5  # written into its code; a caller cannot change it

LONG_CLIP = 60.0  # seconds; from here on a clip is measured with few clients
LONG_CLIP_CLIENTS = 1


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One load. clip: seconds of audio. clients: requests in flight at once."""

    clip: float
    clients: int
    beam: int


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement of one contender. repetition: counts from 0."""

    case: Case
    contender: str
    repetition: int


def cases(clips: Sequence[float], clients: Sequence[int], beams: Sequence[int]) -> list[Case]:
    """Every combination, long clips with one client only: they fill the device by themselves."""
    return [
        Case(clip, count, beam)
        for clip in clips
        for beam in beams
        for count in clients
        if clip < LONG_CLIP or count <= LONG_CLIP_CLIENTS
    ]


def interleave(cases: Sequence[Case], contenders: Sequence[str], repetitions: int) -> Iterator[Run]:
    """Every contender once before anyone comes again, and each repetition begins with another one.

    What changes slowly (temperature, other work on the machine) then touches all contenders alike.
    """
    for case in cases:
        fit = [name for name in contenders if can_run(name, case)]
        for repetition in range(repetitions):
            shift = repetition % max(1, len(fit))
            for name in (*fit[shift:], *fit[:shift]):
                yield Run(case, name, repetition)


def can_run(contender: str, case: Case) -> bool:
    """Whether the contender offers what the case asks for."""
    return contender != WEBSERVICE or case.beam == WEBSERVICE_BEAM
