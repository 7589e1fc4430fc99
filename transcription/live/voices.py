"""Whose voices the utterances of a session have: from their audio to the labels in their final texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from transcription.core.speakers import SpeakerOptions
from transcription.live.audio import AudioBuffer
from transcription.live.events import Final
from transcription.live.utterance import Utterance
from transcription.pipeline.session_speakers import SessionSpeakers, Sound
from transcription.pipeline.speakers import assign, label_of


class Voices:
    """Tells the speakers of one session apart. For one event loop. model_dir: WHISPER_MODEL_DIR."""

    def __init__(self, model_dir: Path, options: SpeakerOptions) -> None:
        self._speakers = SessionSpeakers(model_dir, options.most)
        self._labels = options.labels
        self._current: tuple[Utterance, Sound] | None = None

    async def hear(self, utterance: Utterance, audio: AudioBuffer, voice_end: int) -> None:
        """Take what is new of the utterance that is being spoken. Waits while there is too much. See `Listening`."""
        sound = self._sound(utterance)
        self._speakers.feed(sound, audio.slice(sound.end, audio.end), voice_end)
        await self._speakers.keep_up()

    def end(self, utterance: Utterance, audio: AudioBuffer, end: int, voice_end: int) -> Sound:
        """Take the rest of an utterance that has ended. end: its last sample, exclusive."""
        sound = self._sound(utterance)
        self._speakers.feed(sound, audio.slice(sound.end, end), voice_end)
        self._speakers.finish(sound, voice_end)
        self._current = None
        return sound

    async def label(self, final: Final, sound: Sound) -> Final:
        """The final text with its speakers. To be called for one utterance after the other. Raises ModelUnavailable."""
        turns = await self._speakers.turns(sound)
        labels = {turn.speaker: label_of(turn.speaker, self._labels) for turn in turns}
        segments = tuple(assign(final.segments, turns, labels))
        words = tuple(word for segment in segments for word in segment.words) if final.words else ()
        return replace(final, segments=segments, words=words, turns=turns)

    def close(self) -> None:
        """Give up what waits."""
        self._speakers.close()

    def _sound(self, utterance: Utterance) -> Sound:
        if self._current is None or self._current[0] is not utterance:
            self._current = utterance, Sound(utterance.start, utterance.start)
        return self._current[1]
