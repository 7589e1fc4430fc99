"""When an utterance is decoded while it goes on. Decides only."""

from __future__ import annotations

from dataclasses import dataclass

from transcription.live.cutting import FULL_SECONDS

FIRST_AUDIO = 0.6  # seconds of an utterance before its first decode; the padding is part of it
NEW_AUDIO = 0.25  # seconds since the tick before; less holds no word
PAUSE_SECONDS = 0.4  # after which a decode finds complete words


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of an utterance. Times in seconds.

    audio: not yet cut off. fresh: of it, new since the tick before. voiced: there is a voice in what is fresh. silence:
    since the last voice. paused: a tick has seen this pause. since: the tick before was sent. waiting: its result
    is still to come.
    """

    audio: float
    fresh: float
    voiced: bool
    silence: float
    paused: bool
    since: float
    waiting: bool = False


def is_due(moment: Moment, interval: float, *, ends_soon: bool) -> bool:
    """Whether to decode now. interval: seconds between two ticks. ends_soon: a pause ends the utterance soon.

    Never in silence: without a voice there is nothing new to decode.
    """
    if moment.silence >= PAUSE_SECONDS:
        return not ends_soon and not moment.paused
    if not moment.voiced or moment.fresh < NEW_AUDIO or moment.audio < FIRST_AUDIO:
        return False
    return moment.since >= interval or (moment.audio >= FULL_SECONDS and moment.since >= 0 and not moment.waiting)
