"""The parts of a window, which are decoded one after the other. Decides only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from runners.decode.arrays import LogMel
from runners.decode.encoder_context import encoder_context_of
from runners.decode.prompt import Prompt
from runners.decode.tokenizers import ENGLISH
from transcription.core.audio import ENCODER_FRAMES
from transcription.core.options import DecodeOptions, EncoderContext
from transcription.core.transcript import Segment, WindowResult


@dataclass(slots=True, eq=False)
class WindowState:
    """The progress of decoding one window.

    features: log-mel, shape (n_mels, content_frames + 1). prompt: of the first decode; later ones have its hotwords.
    seek: next frame to decode. borders: frames at which parts end, in order. undivided: where a part starts that lacks
    no text, or has no pauses. last_speech: seconds.
    """

    features: LogMel
    options: DecodeOptions
    language: str | None
    language_probability: float
    prompt: Prompt
    seek: int = 0
    borders: tuple[int, ...] = ()
    undivided: int | None = None
    last_speech: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    unspoken: list[Segment] = field(default_factory=list)

    @property
    def content_frames(self) -> int:
        return int(self.features.shape[-1]) - 1

    @property
    def end(self) -> int:
        """The frame at which what is decoded next ends at the latest."""
        return next((border for border in self.borders if border > self.seek), self.content_frames)

    @property
    def done(self) -> bool:
        return self.seek >= self.content_frames

    def drop_prompt_text(self) -> None:
        """The prompt applies to the first decode only: repeated, it could send the next one into a loop.

        Of the windows of a batch none has it after the first decode: their prompts have to be equally long.
        """
        self.prompt = replace(self.prompt, text=())

    def result(self) -> WindowResult:
        language = self.language or ENGLISH
        segments, unspoken = tuple(self.segments), tuple(self.unspoken)
        return WindowResult(language, self.language_probability, segments, unspoken, self.prompt.cut)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of a window: `frames` from `start` on.

    other_language: the one that it is in, if it cannot be decoded in the window's.
    """

    state: WindowState
    start: int
    frames: int
    other_language: str | None = None

    @property
    def features(self) -> LogMel:
        features: LogMel = self.state.features[:, self.start : self.start + self.frames]
        return features

    @property
    def encoder_context(self) -> int:
        return encoder_context_of(self.frames, self.state.options.encoder_context)

    @property
    def language(self) -> str:
        return self.other_language or self.state.language or ENGLISH

    @property
    def may_be_corrected(self) -> bool:
        """Whether it may be decoded in another way than by faster-whisper. A draft is decoded once."""
        options = self.state.options
        return not (options.draft or options.encoder_context is EncoderContext.FULL)

    @property
    def may_be_in_another_language(self) -> bool:
        options = self.state.options
        return self.may_be_corrected and (options.language is None or options.language_detected)

    @property
    def may_be_divided(self) -> bool:
        return self.may_be_corrected and not self.state.borders and self.start != self.state.undivided

    def divided(self, pauses: Sequence[int]) -> list[Part]:
        """The parts between pauses, which are frames of this part."""
        borders = [0, *pauses, self.frames]
        return [replace(self, start=self.start + start, frames=end - start) for start, end in pairwise(borders)]


def next_part(state: WindowState) -> Part:
    """What is decoded next of a window that is not done: at most 30 s."""
    return Part(state, state.seek, min(ENCODER_FRAMES, state.end - state.seek))


def end_if_only_language(parts: Sequence[Part]) -> bool:
    """End the windows of a batch if only their languages were asked for. Returns whether they were."""
    if not parts[0].state.options.only_language:
        return False
    for part in parts:
        part.state.seek = part.state.content_frames
    return True


def by_context(parts: Sequence[Part]) -> list[tuple[int, list[Part]]]:
    """The parts grouped by the length of the encoder's input, which a call to the encoder shares, shortest first."""
    contexts = sorted({part.encoder_context for part in parts})
    return [(context, [part for part in parts if part.encoder_context == context]) for context in contexts]
