"""Calls the model. Holds no queue: a compatible batch of windows in, their results out.

The steps and their order are those of `WhisperModel.transcribe(condition_on_previous_text=False)`, taken for a whole
batch at once: one encoder pass serves language detection, every temperature and the alignment of words. As a rule the
encoder sees less than 30 s, see `encoder_context`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ctranslate2
import numpy as np
from faster_whisper.transcribe import WhisperModel
from numpy.typing import NDArray

from runners.decode.arrays import Arrays, LogMel
from runners.decode.encoder import Encoder
from runners.decode.encoder_context import is_doubtful, is_short_rest, most_tokens, shortest_rest
from runners.decode.languages import Languages
from runners.decode.model import ModelHandle
from runners.decode.parts import Part, WindowState, by_context, end_if_only_language, next_part
from runners.decode.pauses import MORE_TEXT, is_sparse, may_be_sparse, pauses
from runners.decode.prompt import fit
from runners.decode.rules import Attempt, Split, count_text, needs_fallback, on_a_grid, read_frames, should_skip
from runners.decode.search import Search, Wanted
from runners.decode.segments import Segmenter, lasting, untimed
from runners.decode.tokenizers import ENGLISH, Tokenizers
from runners.decode.unread import is_as_loud, may_be_unread
from transcription.core.audio import ENCODER_FRAMES, FRAMES_PER_SECOND
from transcription.core.languages import CERTAIN, DOUBTFUL
from transcription.core.options import DecodeOptions, EncoderContext
from transcription.core.transcript import WindowResult
from transcription.telemetry import metrics
from transcription.telemetry.tracing import MODEL_DECODE, stage


@dataclass(frozen=True, slots=True, eq=False)
class WindowTask:
    """A window to decode. samples: int16, shape (n,), 16 kHz mono, at most 30 s."""

    samples: NDArray[np.int16]
    options: DecodeOptions


class Engine:
    """Decodes batches on one loaded model. Any number of threads may call it."""

    def __init__(self, model: ModelHandle) -> None:
        self._name = model.name
        self._whisper: WhisperModel = model.whisper
        self._arrays: Arrays = model.arrays
        self._multilingual: bool = model.whisper.model.is_multilingual
        self._aligns = model.aligns
        self._tokenizers = Tokenizers(model)
        self._timestamps = self._tokenizers.timestamp_begin
        self._context_tokens = min(model.context, self._whisper.max_length)
        self._segmenter = Segmenter(model.whisper, self._tokenizers)
        self._encoder = Encoder(model)
        self._languages = Languages(model)
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

    def _open(self, task: WindowTask, features: LogMel) -> WindowState:
        options = task.options
        language = options.language if self._multilingual else ENGLISH
        hotwords, text = (
            self._tokenizers.encode(given) if given is not None else []
            for given in (options.hotwords, options.initial_prompt)
        )
        prompt = fit(hotwords, text, self._context_tokens, self._tokenizers.start_length)
        state = WindowState(features, options, language, 1.0 if language else 0.0, prompt)
        if options.encoder_context is not EncoderContext.FULL and not task.samples.any():
            # Of digital silence the model makes a language and a loop of words, at every temperature.
            state.seek = state.content_frames
        return state

    def _decode_next(self, states: Sequence[WindowState]) -> None:
        """Decode the rest of each window, at most 30 s, and advance its `seek`."""
        parts = [next_part(state) for state in states]
        doubtful: list[Part] = []
        for context, group in by_context(parts):
            if context < ENCODER_FRAMES:
                doubtful += self._decode_briefly(group, context)
            else:
                self._decode_fully(group)
        if doubtful:
            metrics.FULL_CONTEXTS.labels(model=self._name).inc(len(doubtful))
            self._decode_fully(doubtful)

    def _decode_briefly(self, parts: Sequence[Part], context: int) -> list[Part]:
        """Decode on a short context, and return the parts whose language or text is doubtful, unfinished."""
        encoded = self._encoder.encode(parts, context)
        with stage(MODEL_DECODE):
            unsure = self._detect_languages(parts, encoded, brief=True)
            rows = [row for row, part in enumerate(parts) if part not in unsure]
            sure = [parts[row] for row in rows]
            if not sure or end_if_only_language(sure):
                return unsure
            encoded = self._arrays.take_rows(encoded, rows)
            limit = most_tokens(max(part.frames for part in sure))
            sure, attempts = self._decode_once(sure, encoded, limit)
        doubtful = []
        for row, (part, attempt) in enumerate(zip(sure, attempts, strict=True)):
            if self._divide(part, attempt):
                continue
            if is_doubtful(attempt, part.frames, part.state.options, self._timestamps, reads_on=self._aligns):
                if part.state.options.draft:
                    part.state.seek = part.state.content_frames
                else:
                    doubtful.append(replace(part, other_language=None))
            else:
                self._use(part, attempt, encoded, row)
        return unsure + doubtful

    def _decode_fully(self, parts: Sequence[Part]) -> None:
        """Decode on all of the context, as faster-whisper does."""
        encoded = self._encoder.encode(parts, ENCODER_FRAMES)
        with stage(MODEL_DECODE):
            self._detect_languages(parts, encoded)
            if end_if_only_language(parts):
                return
            parts, first = self._decode_once(parts, encoded, self._context_tokens)
        rows = [row for row, part in enumerate(parts) if not self._divide(part, first[row])]
        if not rows:
            return
        with stage(MODEL_DECODE):
            whole = [parts[row] for row in rows]
            encoded = self._arrays.take_rows(encoded, rows)
            attempts = self._search.until_it_passes(encoded, self._wanted(whole), [first[row] for row in rows])
        for row, (part, attempt) in enumerate(zip(whole, attempts, strict=True)):
            self._use(part, attempt, encoded, row)

    def _decode_once(
        self, parts: Sequence[Part], encoded: ctranslate2.StorageView, limit: int
    ) -> tuple[list[Part], list[Attempt]]:
        """An attempt for each part at the first temperature, in another language where only that one passes.

        limit: tokens of an answer. Returns the parts as well, with the languages of their attempts.
        """
        parts, attempts = list(parts), self._search.once(encoded, self._wanted(parts), limit)
        failed = [
            row
            for row, (part, attempt) in enumerate(zip(parts, attempts, strict=True))
            if self._multilingual and part.may_be_in_another_language and needs_fallback(attempt, part.state.options)
        ]
        heard = zip(
            failed, self._languages.heard(encoded, failed, [parts[row].state.options for row in failed]), strict=True
        )
        others = {
            row: replace(parts[row], other_language=language)
            for row, (language, probability) in heard
            if probability >= CERTAIN and language != parts[row].language
        }
        if others:
            wanted = self._wanted(list(others.values()))
            again = self._search.once(self._arrays.take_rows(encoded, list(others)), wanted, limit)
            for (row, part), attempt in zip(others.items(), again, strict=True):
                if not needs_fallback(attempt, part.state.options):
                    parts[row], attempts[row] = part, attempt
        return parts, attempts

    def _detect_languages(
        self, parts: Sequence[Part], encoded: ctranslate2.StorageView, *, brief: bool = False
    ) -> list[Part]:
        """Set the languages that are not known yet, and return the parts that have none.

        brief: on a short context, where doubtful ones are not set; those of drafts are.
        """
        unknown = [row for row, part in enumerate(parts) if part.state.language is None]
        unsure = []
        heard = self._languages.heard(encoded, unknown, [parts[row].state.options for row in unknown])
        for row, (language, probability) in zip(unknown, heard, strict=True):
            state = parts[row].state
            if brief and probability < DOUBTFUL and not state.options.draft:
                unsure.append(parts[row])
            else:
                state.language, state.language_probability = language, probability
        return unsure

    def _wanted(self, parts: Sequence[Part]) -> list[Wanted]:
        wanted = []
        for part in parts:
            options, before = part.state.options, part.state.prompt
            tokenizer = self._tokenizers.of(part.language, options.task)
            prompt = self._whisper.get_prompt(tokenizer, [*before.hotwords, *before.text])
            wanted.append(Wanted(options, part.frames, prompt))
        return wanted

    def _divide(self, part: Part, attempt: Attempt) -> bool:
        """Divide a part at its pauses if the attempt is a loop, or if there is more text between them."""
        if not part.may_be_divided or should_skip(attempt, part.state.options):
            return False
        loop = attempt.compression_ratio > part.state.options.compression_ratio_threshold
        tokens = count_text(attempt.tokens, self._timestamps)
        read = part if loop else replace(part, frames=read_frames(attempt.tokens, part.frames, self._timestamps))
        if not loop and not may_be_sparse(tokens, read.frames):
            return False
        loudness = self._arrays.loudness(read.features)
        found = pauses(loudness) if loop or is_sparse(tokens, loudness) else []
        if not found or not (loop or self._has_more_text(read.divided(found), attempt)):
            part.state.undivided = part.start
            return False
        part.state.borders = tuple(part.start + frame for frame in found)
        part.state.drop_prompt_text()
        return True

    def _has_more_text(self, parts: Sequence[Part], attempt: Attempt) -> bool:
        """Whether parts have more text, each decoded by itself, than an attempt for all of them together."""
        limit = most_tokens(max(part.frames for part in parts))
        encoded = self._encoder.encode(parts, max(part.encoder_context for part in parts))
        # One beam tells as well as several.
        wanted = [replace(each, options=replace(each.options, beam_size=1)) for each in self._wanted(parts)]
        with stage(MODEL_DECODE):
            attempts = self._search.once(encoded, wanted, limit)
        count, options = self._tokenizers.count_characters, parts[0].state.options
        kept = [each for each in attempts if not (needs_fallback(each, options) or should_skip(each, options))]
        return sum(count(each.tokens) for each in kept) > MORE_TEXT * count(attempt.tokens)

    def _use(self, part: Part, attempt: Attempt, encoded: ctranslate2.StorageView, row: int) -> None:
        """Take over what was decoded, or nothing where there is no speech. encoded: row `row` is of this part."""
        state, frames = part.state, part.frames
        if should_skip(attempt, state.options, is_short_rest(state.seek, frames, state.options.encoder_context)):
            self._skip(state, frames, attempt)
        else:
            self._accept(part, attempt, encoded, row)
        if state.end - state.seek <= shortest_rest(state.options.encoder_context):
            state.seek = state.end

    def _accept(self, part: Part, attempt: Attempt, encoded: ctranslate2.StorageView, row: int) -> None:
        """Turn an attempt into segments and advance the window's `seek`."""
        state, frames = part.state, part.frames
        started_at, options = state.seek, state.options
        split = self._segmenter.split(attempt, started_at, frames)
        timed = untimed(split.cuts)
        wanted = options.word_timestamps
        # The words are timed unasked where the timestamps are not to be believed.
        corrects = self._aligns and part.may_be_corrected
        unread = corrects and self._is_unread(state, split, frames)
        if wanted or unread or (corrects and on_a_grid(split.cuts)):
            tokenizer = self._tokenizers.of(part.language, options.task)
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
        state.drop_prompt_text()
        # Not the end of the last word, as in faster-whisper: whether words are timed must not change the text. A decode
        # that consumes nothing would be repeated indefinitely.
        # Timestamps may be in the padding, behind the part, where another part may begin.
        state.seek = min(split.next_seek, started_at + frames) if split.next_seek > started_at else started_at + frames

    def _is_unread(self, state: WindowState, split: Split, frames: int, last_word: float = 0.0) -> bool:
        """Whether speech follows, though the model says that none does. last_word: its end, seconds."""
        if not split.single_ending or split.next_seek < state.seek + frames:
            return False
        read = _frame(max(split.cuts[-1].end, last_word)) - state.seek
        if not may_be_unread(read, frames):
            return False  # spares the loudness, which has to come from the device
        return is_as_loud(self._arrays.loudness(state.features[:, state.seek : state.seek + frames]), read)

    def _skip(self, state: WindowState, frames: int, attempt: Attempt) -> None:
        """Skip a part without speech. Text that was decoded all the same is kept apart, as `unspoken`."""
        cuts = self._segmenter.split(attempt, state.seek, frames).cuts
        state.unspoken += self._segmenter.segments(cuts, untimed(cuts), attempt, state.seek)
        state.seek += frames


def _frame(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)
