"""From encoded windows to tokens: one beam where the model is sure, else several, then rising temperatures.

`docs/decisions/0055-one-beam-where-sure.md` has the measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ctranslate2

from runners.decode.arrays import Arrays
from runners.decode.rules import Attempt, average_logprob, choose_best, early_end, is_exhausted, needs_fallback
from runners.decode.tokenizers import Tokenizers
from transcription.core.audio import FRAMES_PER_SECOND
from transcription.core.options import DecodeOptions, EncoderContext
from transcription.core.text import compression_ratio

MAX_INITIAL_TIMESTAMP_INDEX = 50  # timestamp tokens of 20 ms: speech starts within the first second
# The likeliest tokens are taken without a search if their average log probability is higher, and the part is as long:
# beam search finds hardly anything better then, at two to three times the cost. Shorter parts are less often sure.
SURE = -0.4
LEAST_SURE_FRAMES = 10 * FRAMES_PER_SECOND


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a part of a window is to be decoded with.

    frames: its length. prompt: the tokens before the answer; of equal length in a batch.
    """

    options: DecodeOptions
    frames: int
    prompt: list[int]

    @property
    def may_be_sure(self) -> bool:
        """Whether beam search may be left out: not where the tokens must be faster-whisper's."""
        return self.options.encoder_context is not EncoderContext.FULL and self.frames >= LEAST_SURE_FRAMES

    def gives_up(self, attempts: Sequence[Attempt]) -> bool:
        """Whether no higher temperature is tried after these attempts, which failed."""
        return self.options.encoder_context is not EncoderContext.FULL and is_exhausted(attempts, self.options)


@dataclass(frozen=True, slots=True)
class _Method:
    """max_length: as CTranslate2 counts it."""

    temperature: float
    beam_size: int
    max_length: int


class Search:
    """The decoder of one model. context_tokens: of prompt and answer together, at most."""

    def __init__(
        self, model: ctranslate2.models.Whisper, arrays: Arrays, tokenizers: Tokenizers, context_tokens: int
    ) -> None:
        self._model = model
        self._arrays = arrays
        self._tokenizers = tokenizers
        self._context_tokens = context_tokens

    def once(self, encoded: ctranslate2.StorageView, wanted: Sequence[Wanted], most_tokens: int) -> list[Attempt]:
        """One attempt per window, at its first temperature. most_tokens: of an answer."""
        prompt_length = max(len(each.prompt) for each in wanted)
        # CTranslate2 ends an answer at half of max_length, or where prompt and answer reach it.
        limit = max(2 * most_tokens, prompt_length + most_tokens)
        options = wanted[0].options
        method = _Method(options.temperatures[0], options.beam_size, min(limit, self._context_tokens))
        return self._search(encoded, wanted, method)

    def until_it_passes(
        self, encoded: ctranslate2.StorageView, wanted: Sequence[Wanted], first: Sequence[Attempt]
    ) -> list[Attempt]:
        """One attempt per window: the first that passes its thresholds, else the best of all temperatures.

        first: those at the first temperature.
        """
        tried = [[attempt] for attempt in first]
        pending = [row for row, attempt in enumerate(first) if needs_fallback(attempt, wanted[row].options)]
        for temperature in wanted[0].options.temperatures[1:]:
            if not pending:
                break
            undecided = self._arrays.take_rows(encoded, pending)
            method = _Method(temperature, wanted[0].options.beam_size, self._context_tokens)
            attempts = self._search(undecided, [wanted[row] for row in pending], method)
            for row, attempt in zip(pending, attempts, strict=True):
                tried[row].append(attempt)
            failed = [row for row in pending if needs_fallback(tried[row][-1], wanted[row].options)]
            pending = [row for row in failed if not wanted[row].gives_up(tried[row])]
        return [
            choose_best(tried[row], each.options) if needs_fallback(tried[row][-1], each.options) else tried[row][-1]
            for row, each in enumerate(wanted)
        ]

    def _search(self, encoded: ctranslate2.StorageView, wanted: Sequence[Wanted], method: _Method) -> list[Attempt]:
        """One attempt per window: the likeliest tokens if the model is sure of them, else those of the whole method."""
        attempts: dict[int, Attempt] = {}
        if method.temperature == 0 and method.beam_size > 1:
            rows = [row for row, each in enumerate(wanted) if each.may_be_sure]
            likeliest = self._of_rows(rows, encoded, wanted, replace(method, beam_size=1))
            attempts = {row: each for row, each in likeliest.items() if self._is_sure(each, wanted[row])}
        unsure = [row for row in range(len(wanted)) if row not in attempts]
        attempts |= self._of_rows(unsure, encoded, wanted, method)
        return [attempts[row] for row in range(len(wanted))]

    def _is_sure(self, attempt: Attempt, wanted: Wanted) -> bool:
        return (
            attempt.avg_logprob > SURE
            and not needs_fallback(attempt, wanted.options)
            and early_end(attempt.tokens, wanted.frames, self._tokenizers.timestamp_begin) is None
        )

    def _of_rows(
        self, rows: Sequence[int], encoded: ctranslate2.StorageView, wanted: Sequence[Wanted], method: _Method
    ) -> dict[int, Attempt]:
        if not rows:
            return {}
        attempts = self._generate(self._arrays.take_rows(encoded, rows), [wanted[row] for row in rows], method)
        return dict(zip(rows, attempts, strict=True))

    def _generate(self, encoded: ctranslate2.StorageView, wanted: Sequence[Wanted], method: _Method) -> list[Attempt]:
        search: dict[str, Any] = {"beam_size": method.beam_size, "patience": 1}
        if method.temperature > 0:
            search = {
                "beam_size": 1,
                "num_hypotheses": wanted[0].options.best_of,
                "sampling_topk": 0,
                "sampling_temperature": method.temperature,
            }
        results = self._model.generate(
            encoded,
            [each.prompt for each in wanted],
            max_length=method.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._tokenizers.suppressed,
            max_initial_timestamp_index=MAX_INITIAL_TIMESTAMP_INDEX,
            **search,
        )
        return [self._attempt(result, method.temperature) for result in results]

    def _attempt(self, result: Any, temperature: float) -> Attempt:
        tokens = tuple(result.sequences_ids[0])
        return Attempt(
            tokens=tokens,
            avg_logprob=average_logprob(result.scores[0], len(tokens)),
            compression_ratio=compression_ratio(self._tokenizers.text(tokens).strip()),
            no_speech_prob=float(result.no_speech_prob),
            temperature=temperature,
        )
