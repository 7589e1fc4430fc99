"""The transcript of a live session."""

from __future__ import annotations

from collections.abc import Sequence

from transcription.core.languages import UNDETERMINED
from transcription.core.speakers import Speaker
from transcription.core.transcript import Transcript
from transcription.live.events import Final
from transcription.live.options import LiveOptions
from transcription.pipeline.speakers import label_of, speakers_of


def transcript_of(finals: Sequence[Final], options: LiveOptions, seconds: float) -> Transcript:
    """The text of the utterances that are complete. seconds: of audio so far.

    Its language is that of the first utterance with text, or the one that was asked for.
    """
    decode = options.decode
    spoken = [final for final in finals if final.text]
    return Transcript(
        language=spoken[0].language if spoken else decode.language or UNDETERMINED,
        language_probability=1.0 if spoken or decode.language else 0.0,
        duration=seconds,
        segments=tuple(segment for final in finals for segment in final.segments),
        model=decode.model,
        task=decode.task,
        word_timestamps=options.words,
        speakers=_speakers(finals, options),
    )


def _speakers(finals: Sequence[Final], options: LiveOptions) -> tuple[Speaker, ...]:
    if not options.speakers:
        return ()
    turns = [turn for final in finals for turn in final.turns]
    return speakers_of(turns, {turn.speaker: label_of(turn.speaker, options.speakers.labels) for turn in turns})
