"""Diarization error rate with pyannote.metrics; speech of several people at once counts for each of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.diarization.conversations import Conversation, Stretch

if TYPE_CHECKING:
    from pyannote.core import Annotation

# Seconds on either side of a boundary of the reference that do not count, as in NIST's md-eval.
COLLARS = (0.0, 0.25)


@dataclass(frozen=True, slots=True)
class Errors:
    """Seconds of speech, and of errors in it.

    missed: not found. invented: found in silence. confused: given to another speaker. total: of all speakers.
    """

    missed: float
    invented: float
    confused: float
    total: float

    @property
    def rate(self) -> float:
        """The diarization error rate; more than 1 is possible."""
        return (self.missed + self.invented + self.confused) / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Score:
    """errors: by collar. speakers_off: found minus real."""

    errors: dict[float, Errors]
    speakers_off: int


def score(conversation: Conversation, found: Sequence[Stretch]) -> Score:
    """The errors in `found`, under the mapping of its speakers to the real ones that is best for it."""
    # Late: they import matplotlib, pandas and scipy, 2 s of the CPU.
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    reference, hypothesis = _annotation(conversation.reference), _annotation(found)
    whole = Timeline([Segment(0, conversation.seconds)])
    errors = {}
    for collar in COLLARS:
        metric = DiarizationErrorRate(collar=2 * collar, skip_overlap=False)  # it takes the width of both sides
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts = metric(reference, hypothesis, uem=whole, detailed=True)
        errors[collar] = Errors(parts["missed detection"], parts["false alarm"], parts["confusion"], parts["total"])
    return Score(errors, len({each.speaker for each in found}) - conversation.speakers)


def _annotation(stretches: Sequence[Stretch]) -> Annotation:
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for number, each in enumerate(stretches):
        annotation[Segment(each.start, each.end), number] = each.speaker
    return annotation
