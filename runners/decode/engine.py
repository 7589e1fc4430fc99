"""Calls the model. Holds no queue: a compatible batch of windows in, their results out.

The steps and their order are those of `WhisperModel.transcribe(condition_on_previous_text=False)`, taken for a whole
batch at once: one encoder pass serves language detection, every temperature and the alignment of words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper.transcribe import WhisperModel
from faster_whisper.utils import get_end
from numpy.typing import NDArray

from runners.decode.arrays import Arrays, LogMel
from runners.decode.model import ModelHandle
from runners.decode.prompt import Prompt, fit
from runners.decode.rules import (
    Attempt,
    Cut,
    Split,
    average_logprob,
    choose_best,
    likeliest,
    needs_fallback,
    should_skip,
    split_segments,
)
from runners.decode.tokenizers import ENGLISH, Tokenizers
from transcription.core.errors import ModelUnavailable
from transcription.core.options import DecodeOptions
from transcription.core.text import compression_ratio
from transcription.core.transcript import Segment, WindowResult, Word
from transcription.telemetry.tracing import MODEL_DECODE, MODEL_ENCODE, stage

MAX_INITIAL_TIMESTAMP_INDEX = 50  # timestamp tokens of 20 ms: speech starts within the first second
# Marks that belong to the following and to the preceding word; faster-whisper's defaults.
PREPENDED_MARKS = "\"'“¿([{-"
APPENDED_MARKS = "\"'.。,，!！?？:：”)]}、"


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


class Engine:
    """Decodes batches on one loaded model. Any number of threads may call it."""

    def __init__(self, model: ModelHandle) -> None:
        self._name = model.name
        self._whisper: WhisperModel = model.whisper
        self._arrays: Arrays = model.arrays
        self._multilingual: bool = model.whisper.model.is_multilingual
        self._tokenizers = Tokenizers(model)
        self._suppressed = self._tokenizers.suppressed
        self._context = min(model.context, self._whisper.max_length)

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
        prompt = fit(hotwords, text, self._context, self._tokenizers.start_length)
        return _WindowState(features, options, language, 1.0 if language else 0.0, prompt)

    def _decode_next(self, states: Sequence[_WindowState]) -> None:
        """Decode the rest of each window, at most 30 s, and advance its `seek`."""
        frames = [min(self._max_frames, state.content_frames - state.seek) for state in states]
        parts = [
            state.features[:, state.seek : state.seek + count] for state, count in zip(states, frames, strict=True)
        ]
        # Kept on the device: the model is on one GPU at most, so every later call can read it there.
        with stage(MODEL_ENCODE):
            encoded = self._whisper.model.encode(self._arrays.stack(parts), to_cpu=False)
        with stage(MODEL_DECODE):
            self._detect_languages(states, encoded)
            if states[0].options.only_language:
                for state in states:
                    state.seek = state.content_frames
                return
            attempts = self._decode_with_fallback(states, encoded)
        for row, (state, count, attempt) in enumerate(zip(states, frames, attempts, strict=True)):
            if should_skip(attempt, state.options):
                self._skip(state, count, attempt)
            else:
                self._accept(state, count, attempt, encoded, row)

    def _detect_languages(self, states: Sequence[_WindowState], encoded: ctranslate2.StorageView) -> None:
        unknown = [row for row, state in enumerate(states) if state.language is None]
        if not unknown:
            return
        guesses = self._whisper.model.detect_language(self._arrays.take_rows(encoded, unknown))
        for row, ranking in zip(unknown, guesses, strict=True):
            if not ranking:
                raise ModelUnavailable(
                    f"The model '{self._name}' cannot detect languages: its config.json lacks lang_ids. "
                    "Convert it again, or state the language in the request."
                )
            ranked = [(token[2:-2], float(probability)) for token, probability in ranking]  # <|en|>
            states[row].language, states[row].language_probability = likeliest(ranked, states[row].options.languages)

    def _decode_with_fallback(self, states: Sequence[_WindowState], encoded: ctranslate2.StorageView) -> list[Attempt]:
        """One attempt per window: the first that passes its thresholds, else the best of all temperatures."""
        tokenizers = [self._tokenizers.of(state.language or ENGLISH, state.options.task) for state in states]
        prompts = [
            self._whisper.get_prompt(tokenizer, [*state.prompt.hotwords, *state.prompt.text])
            for state, tokenizer in zip(states, tokenizers, strict=True)
        ]
        tried: list[list[Attempt]] = [[] for _ in states]
        pending = list(range(len(states)))
        for temperature in states[0].options.temperatures:
            undecided = self._arrays.take_rows(encoded, pending)
            attempts = self._generate(undecided, [prompts[row] for row in pending], states[0].options, temperature)
            for row, attempt in zip(pending, attempts, strict=True):
                tried[row].append(attempt)
            pending = [row for row in pending if needs_fallback(tried[row][-1], states[row].options)]
            if not pending:
                break
        return [
            choose_best(tried[row], state.options) if row in pending else tried[row][-1]
            for row, state in enumerate(states)
        ]

    def _generate(
        self,
        encoded: ctranslate2.StorageView,
        prompts: list[list[int]],
        options: DecodeOptions,
        temperature: float,
    ) -> list[Attempt]:
        search: dict[str, Any] = {"beam_size": options.beam_size, "patience": 1}
        if temperature > 0:
            search = {
                "beam_size": 1,
                "num_hypotheses": options.best_of,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
        results = self._whisper.model.generate(
            encoded,
            prompts,
            max_length=self._context,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=MAX_INITIAL_TIMESTAMP_INDEX,
            **search,
        )
        return [self._attempt(result, temperature) for result in results]

    def _attempt(self, result: Any, temperature: float) -> Attempt:
        tokens = tuple(result.sequences_ids[0])
        return Attempt(
            tokens=tokens,
            avg_logprob=average_logprob(result.scores[0], len(tokens)),
            compression_ratio=compression_ratio(self._tokenizers.text(tokens).strip()),
            no_speech_prob=float(result.no_speech_prob),
            temperature=temperature,
        )

    def _accept(
        self, state: _WindowState, frames: int, attempt: Attempt, encoded: ctranslate2.StorageView, row: int
    ) -> None:
        """Turn an attempt into segments and advance the window's `seek`."""
        started_at = state.seek
        split = self._split(state, frames, attempt)
        timed: Sequence[tuple[Cut, tuple[Word, ...]]] = [(cut, ()) for cut in split.cuts]
        if state.options.word_timestamps:
            timed = self._time_words(state, split.cuts, frames, self._arrays.take_rows(encoded, [row]))
        state.segments += self._segments(split.cuts, timed, attempt, started_at)
        # The prompt applies to the first decode only: repeated, it could send the next one into a loop.
        state.prompt = replace(state.prompt, text=())
        # Not the end of the last word, as in faster-whisper: whether words are timed must not change the text. A decode
        # that consumes nothing would be repeated indefinitely.
        state.seek = split.next_seek if split.next_seek > started_at else started_at + frames

    def _skip(self, state: _WindowState, frames: int, attempt: Attempt) -> None:
        """Skip a part without speech. Text that was decoded all the same is kept apart, as `unspoken`."""
        cuts = self._split(state, frames, attempt).cuts
        state.unspoken += self._segments(cuts, [(cut, ()) for cut in cuts], attempt, state.seek)
        state.seek += frames

    def _split(self, state: _WindowState, frames: int, attempt: Attempt) -> Split:
        seconds_per_frame = self._whisper.feature_extractor.time_per_frame
        return split_segments(
            attempt.tokens,
            timestamp_begin=self._tokenizers.timestamp_begin,
            time_offset=state.seek * seconds_per_frame,
            frames=frames,
            duration=frames * seconds_per_frame,
            seek=state.seek,
        )

    def _segments(
        self, cuts: Sequence[Cut], timed: Sequence[tuple[Cut, tuple[Word, ...]]], attempt: Attempt, seek: int
    ) -> Iterator[Segment]:
        """Segments that have text and, as decoded, a duration. timed: the same cuts, with the times of their words."""
        for cut, (tightened, words) in zip(cuts, timed, strict=True):
            text = self._tokenizers.text(cut.tokens)
            if cut.start != cut.end and text.strip():
                yield _segment(tightened, text, words, attempt, seek)

    def _time_words(
        self, state: _WindowState, cuts: Sequence[Cut], frames: int, encoded: ctranslate2.StorageView
    ) -> list[tuple[Cut, tuple[Word, ...]]]:
        """Segments with their words, tightened around them.

        encoded: the encoder's output for this window alone.
        """
        segments: list[dict[str, Any]] = [
            {"seek": state.seek, "start": cut.start, "end": cut.end, "tokens": list(cut.tokens)} for cut in cuts
        ]
        tokenizer = self._tokenizers.of(state.language or ENGLISH, state.options.task)
        self._whisper.add_word_timestamps(
            [segments], tokenizer, encoded, frames, PREPENDED_MARKS, APPENDED_MARKS, state.last_speech
        )
        last_word_end = get_end(segments)
        if last_word_end is not None:
            state.last_speech = last_word_end
        return [
            (replace(cut, start=float(item["start"]), end=float(item["end"])), _words(item["words"]))
            for cut, item in zip(cuts, segments, strict=True)
        ]

    @property
    def _max_frames(self) -> int:
        return int(self._whisper.feature_extractor.nb_max_frames)


def _segment(cut: Cut, text: str, words: tuple[Word, ...], attempt: Attempt, seek: int) -> Segment:
    return Segment(
        start=cut.start,
        end=cut.end,
        text=text,
        tokens=cut.tokens,
        avg_logprob=attempt.avg_logprob,
        compression_ratio=attempt.compression_ratio,
        no_speech_prob=attempt.no_speech_prob,
        temperature=attempt.temperature,
        seek=seek,
        words=words,
    )


def _words(words: Sequence[dict[str, Any]]) -> tuple[Word, ...]:
    return tuple(
        Word(item["word"], float(item["start"]), float(item["end"]), float(item["probability"])) for item in words
    )
