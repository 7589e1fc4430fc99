"""Calls the model. Holds no queue: a compatible batch of windows in, their results out.

The steps and their order are those of `WhisperModel.transcribe(condition_on_previous_text=False)`, taken for a whole
batch at once: one encoder pass serves language detection, every temperature and the alignment of words. As a rule the
encoder sees less than 30 s, see `encoder_context`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import ctranslate2
import numpy as np
from faster_whisper.transcribe import WhisperModel
from numpy.typing import NDArray

from runners.decode.arrays import Arrays, LogMel, joined
from runners.decode.encoder_context import encoder_context_of, is_doubtful, is_short_rest, most_tokens, shortest_rest
from runners.decode.model import ModelHandle
from runners.decode.prompt import Prompt, fit
from runners.decode.rules import Attempt, Split, likeliest, on_a_grid, should_skip
from runners.decode.search import Search, Wanted
from runners.decode.segments import Segmenter, lasting, untimed
from runners.decode.tokenizers import ENGLISH, Tokenizers
from runners.decode.unread import is_as_loud, may_be_unread
from runners.placement import CPU
from transcription.core.audio import ENCODER_FRAMES, FRAMES_PER_SECOND
from transcription.core.errors import ModelUnavailable
from transcription.core.languages import DOUBTFUL
from transcription.core.options import DecodeOptions, EncoderContext
from transcription.core.transcript import Segment, WindowResult
from transcription.telemetry import metrics
from transcription.telemetry.tracing import MODEL_DECODE, MODEL_ENCODE, stage


@dataclass(frozen=True, slots=True, eq=False)
class WindowTask:
    """A window to decode. samples: int16, shape (n,), 16 kHz mono, at most 30 s."""

    samples: NDArray[np.int16]
    options: DecodeOptions


@dataclass(slots=True, eq=False)
class _WindowState:
    """The progress of decoding one window.

    features: log-mel, shape (n_mels, content_frames + 1). prompt: of the first decode; later ones have its hotwords.
    seek: next frame to decode. last_speech: seconds.
    """

    features: LogMel
    options: DecodeOptions
    language: str | None
    language_probability: float
    prompt: Prompt
    seek: int = 0
    last_speech: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    unspoken: list[Segment] = field(default_factory=list)

    @property
    def content_frames(self) -> int:
        return int(self.features.shape[-1]) - 1

    @property
    def done(self) -> bool:
        return self.seek >= self.content_frames

    def result(self) -> WindowResult:
        language = self.language or ENGLISH
        segments, unspoken = tuple(self.segments), tuple(self.unspoken)
        return WindowResult(language, self.language_probability, segments, unspoken, self.prompt.cut)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What is decoded next of a window: `frames` from its `seek` on."""

    state: _WindowState
    frames: int

    @property
    def features(self) -> LogMel:
        seek = self.state.seek
        features: LogMel = self.state.features[:, seek : seek + self.frames]
        return features

    @property
    def encoder_context(self) -> int:
        return encoder_context_of(self.frames, self.state.options.encoder_context)


class Engine:
    """Decodes batches on one loaded model. Any number of threads may call it."""

    def __init__(self, model: ModelHandle) -> None:
        self._name = model.name
        self._whisper: WhisperModel = model.whisper
        self._arrays: Arrays = model.arrays
        self._multilingual: bool = model.whisper.model.is_multilingual
        self._on_cpu: bool = model.whisper.model.device == CPU
        self._aligns = model.aligns
        self._tokenizers = Tokenizers(model)
        self._context_tokens = min(model.context, self._whisper.max_length)
        self._segmenter = Segmenter(model.whisper, self._tokenizers)
        self._search = Search(model.whisper.model, model.arrays, self._tokenizers, self._context_tokens)

    def decode(self, batch: Sequence[WindowTask]) -> list[WindowResult]:
        """Results in the order of the batch, whose options must share one `queue.BatchKey`.

        Raises InvalidParameter for a language the model does not know, ModelUnavailable for a model that cannot detect
        languages, RuntimeError when the device fails.
        """
        features = self._arrays.log_mel([task.samples for task in batch])
        states = [self._open(task, spectrum) for task, spectrum in zip(batch, features, strict=True)]
        while unfinished := [state for state in states if not state.done]:
            self._decode_next(unfinished)
        return [state.result() for state in states]

    def _open(self, task: WindowTask, features: LogMel) -> _WindowState:
        options = task.options
        language = options.language if self._multilingual else ENGLISH
        hotwords, text = (
            self._tokenizers.encode(given) if given is not None else []
            for given in (options.hotwords, options.initial_prompt)
        )
        prompt = fit(hotwords, text, self._context_tokens, self._tokenizers.start_length)
        state = _WindowState(features, options, language, 1.0 if language else 0.0, prompt)
        if options.encoder_context is not EncoderContext.FULL and not task.samples.any():
            # Of digital silence the model makes a language and a loop of words, at every temperature.
            state.seek = state.content_frames
        return state

    def _decode_next(self, states: Sequence[_WindowState]) -> None:
        """Decode the rest of each window, at most 30 s, and advance its `seek`."""
        parts = [_Part(state, min(ENCODER_FRAMES, state.content_frames - state.seek)) for state in states]
        doubtful: list[_Part] = []
        for context, group in _by_context(parts):
            if context < ENCODER_FRAMES:
                doubtful += self._decode_briefly(group, context)
            else:
                self._decode_fully(group)
        if doubtful:
            metrics.FULL_CONTEXTS.labels(model=self._name).inc(len(doubtful))
            self._decode_fully(doubtful)

    def _decode_briefly(self, parts: Sequence[_Part], context: int) -> list[_Part]:
        """Decode on a short context, and return the parts whose language or text is doubtful, unfinished."""
        encoded = self._encode(parts, context)
        with stage(MODEL_DECODE):
            unsure = self._detect_languages(parts, encoded, brief=True)
            rows = [row for row, part in enumerate(parts) if part not in unsure]
            sure = [parts[row] for row in rows]
            if not sure or self._only_language(sure):
                return unsure
            encoded = self._arrays.take_rows(encoded, rows)
            limit = most_tokens(max(part.frames for part in sure))
            attempts = self._search.once(encoded, self._wanted(sure), limit)
        doubtful = []
        for row, (part, attempt) in enumerate(zip(sure, attempts, strict=True)):
            if is_doubtful(attempt, part.frames, part.state.options, self._tokenizers.timestamp_begin):
                if part.state.options.draft:
                    part.state.seek = part.state.content_frames
                else:
                    doubtful.append(part)
            else:
                self._use(part, attempt, encoded, row)
        return unsure + doubtful

    def _decode_fully(self, parts: Sequence[_Part]) -> None:
        """Decode on all of the context, as faster-whisper does."""
        encoded = self._encode(parts, ENCODER_FRAMES)
        with stage(MODEL_DECODE):
            self._detect_languages(parts, encoded)
            if self._only_language(parts):
                return
            attempts = self._search.until_it_passes(encoded, self._wanted(parts))
        for row, (part, attempt) in enumerate(zip(parts, attempts, strict=True)):
            self._use(part, attempt, encoded, row)

    def _encode(self, parts: Sequence[_Part], context: int) -> ctranslate2.StorageView:
        # On a CPU one after another: what a layer computes for one window stays in the processor's cache.
        calls = [[part] for part in parts] if self._on_cpu else [parts]
        # Kept on the device: the model is on one GPU at most, so every later call can read it there.
        with stage(MODEL_ENCODE):
            encoded = [
                self._whisper.model.encode(self._arrays.stack([part.features for part in call], context), to_cpu=False)
                for call in calls
            ]
            return joined(encoded)

    def _detect_languages(
        self, parts: Sequence[_Part], encoded: ctranslate2.StorageView, *, brief: bool = False
    ) -> list[_Part]:
        """Set the languages that are not known yet, and return the parts that have none.

        brief: on a short context, where doubtful ones are not set; those of drafts are.
        """
        unknown = [row for row, part in enumerate(parts) if part.state.language is None]
        if not unknown:
            return []
        unsure = []
        guesses = self._whisper.model.detect_language(self._arrays.take_rows(encoded, unknown))
        for row, ranking in zip(unknown, guesses, strict=True):
            if not ranking:
                raise ModelUnavailable(
                    f"The model '{self._name}' cannot detect languages: its config.json lacks lang_ids. "
                    "Convert it again, or state the language in the request."
                )
            state = parts[row].state
            ranked = [(token[2:-2], float(probability)) for token, probability in ranking]  # <|en|>
            language, probability = likeliest(ranked, state.options.languages)
            if brief and probability < DOUBTFUL and not state.options.draft:
                unsure.append(parts[row])
            else:
                state.language, state.language_probability = language, probability
        return unsure

    def _only_language(self, parts: Sequence[_Part]) -> bool:
        """Whether only the language was asked for. The windows are done then."""
        if not parts[0].state.options.only_language:
            return False
        for part in parts:
            part.state.seek = part.state.content_frames
        return True

    def _wanted(self, parts: Sequence[_Part]) -> list[Wanted]:
        return [Wanted(part.state.options, part.frames, self._prompt(part.state)) for part in parts]

    def _prompt(self, state: _WindowState) -> list[int]:
        tokenizer = self._tokenizers.of(state.language or ENGLISH, state.options.task)
        prompt: list[int] = self._whisper.get_prompt(tokenizer, [*state.prompt.hotwords, *state.prompt.text])
        return prompt

    def _use(self, part: _Part, attempt: Attempt, encoded: ctranslate2.StorageView, row: int) -> None:
        """Take over what was decoded, or nothing where there is no speech. encoded: row `row` is of this part."""
        state, frames = part.state, part.frames
        if should_skip(attempt, state.options, is_short_rest(state.seek, frames, state.options.encoder_context)):
            self._skip(state, frames, attempt)
        else:
            self._accept(state, frames, attempt, encoded, row)
        if state.content_frames - state.seek <= shortest_rest(state.options.encoder_context):
            state.seek = state.content_frames

    def _accept(
        self, state: _WindowState, frames: int, attempt: Attempt, encoded: ctranslate2.StorageView, row: int
    ) -> None:
        """Turn an attempt into segments and advance the window's `seek`."""
        started_at, options = state.seek, state.options
        split = self._segmenter.split(attempt, started_at, frames)
        timed = untimed(split.cuts)
        wanted = options.word_timestamps
        # The words are timed unasked where the timestamps are not to be believed.
        corrects = self._aligns and options.encoder_context is not EncoderContext.FULL and not options.draft
        unread = corrects and self._is_unread(state, split, frames)
        if wanted or unread or (corrects and on_a_grid(split.cuts)):
            tokenizer = self._tokenizers.of(state.language or ENGLISH, state.options.task)
            alone = self._arrays.take_rows(encoded, [row])
            timed, state.last_speech = self._segmenter.time_words(
                split.cuts, tokenizer, alone, started_at, frames, state.last_speech
            )
            # The words may be later than the last timestamp says.
            if unread and self._is_unread(state, split, frames, state.last_speech):
                split = replace(split, next_seek=_frame(max(split.cuts[-1].end, state.last_speech)))
            if not wanted:
                timed = lasting(timed, split.cuts)
        else:
            state.last_speech = split.cuts[-1].end
        state.segments += self._segmenter.segments(split.cuts, timed, attempt, started_at)
        # The prompt applies to the first decode only: repeated, it could send the next one into a loop.
        state.prompt = replace(state.prompt, text=())
        # Not the end of the last word, as in faster-whisper: whether words are timed must not change the text. A decode
        # that consumes nothing would be repeated indefinitely.
        state.seek = split.next_seek if split.next_seek > started_at else started_at + frames

    def _is_unread(self, state: _WindowState, split: Split, frames: int, last_word: float = 0.0) -> bool:
        """Whether speech follows, though the model says that none does. last_word: its end, seconds."""
        if not split.single_ending or split.next_seek < state.seek + frames:
            return False
        read = _frame(max(split.cuts[-1].end, last_word)) - state.seek
        if not may_be_unread(read, frames):
            return False  # spares the loudness, which has to come from the device
        return is_as_loud(self._arrays.loudness(state.features[:, state.seek : state.seek + frames]), read)

    def _skip(self, state: _WindowState, frames: int, attempt: Attempt) -> None:
        """Skip a part without speech. Text that was decoded all the same is kept apart, as `unspoken`."""
        cuts = self._segmenter.split(attempt, state.seek, frames).cuts
        state.unspoken += self._segmenter.segments(cuts, untimed(cuts), attempt, state.seek)
        state.seek += frames


def _frame(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)


def _by_context(parts: Sequence[_Part]) -> list[tuple[int, list[_Part]]]:
    """The parts grouped by the length of the encoder's input, which a call to the encoder shares, shortest first."""
    contexts = sorted({part.encoder_context for part in parts})
    return [(context, [part for part in parts if part.encoder_context == context]) for context in contexts]
