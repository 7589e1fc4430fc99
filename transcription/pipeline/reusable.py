"""Results of an interrupted run that need not be computed again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from transcription.core.audio import Window
from transcription.core.transcript import PlacedResult
from transcription.pipeline.language_changes import divided


class ReusableResults:
    """Results of an interrupted run, as long as its windows are the same as in this run."""

    def __init__(self, known: Sequence[PlacedResult]) -> None:
        self._left = deque(known)

    def results_of(self, window: Window) -> list[PlacedResult]:
        """The results of the parts of the next window; none if they are not all there.

        Once a window differs, no later result is used.
        """
        end = window.timeline.end
        inside = list(takewhile(lambda item: item.timeline.start < end, self._left))
        parts = divided(window, [item.timeline.spans[0].start for item in inside[1:]]) if inside else []
        if not inside or [part.timeline for part in parts] != [item.timeline for item in inside]:
            self._left.clear()
            return []
        for _ in inside:
            self._left.popleft()
        return [replace(item, speech=part.speech, voice=part.voice) for item, part in zip(inside, parts, strict=True)]
