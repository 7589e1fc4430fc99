"""From encoded windows to tokens: beam search, then sampling at rising temperatures until a decode looks right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ctranslate2

from runners.decode.arrays import Arrays
from runners.decode.rules import Attempt, average_logprob, choose_best, needs_fallback
from runners.decode.tokenizers import Tokenizers
from transcription.core.options import DecodeOptions
from transcription.core.text import compression_ratio

MAX_INITIAL_TIMESTAMP_INDEX = 50  # timestamp tokens of 20 ms: speech starts within the first second


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a window is to be decoded with. prompt: the tokens before the answer; of equal length in a batch."""

    options: DecodeOptions
    prompt: list[int]


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
        temperature = wanted[0].options.temperatures[0]
        return self._generate(encoded, wanted, temperature, min(limit, self._context_tokens))

    def until_it_passes(self, encoded: ctranslate2.StorageView, wanted: Sequence[Wanted]) -> list[Attempt]:
        """One attempt per window: the first that passes its thresholds, else the best of all temperatures."""
        tried: list[list[Attempt]] = [[] for _ in wanted]
        pending = list(range(len(wanted)))
        for temperature in wanted[0].options.temperatures:
            undecided = self._arrays.take_rows(encoded, pending)
            attempts = self._generate(undecided, [wanted[row] for row in pending], temperature, self._context_tokens)
            for row, attempt in zip(pending, attempts, strict=True):
                tried[row].append(attempt)
            pending = [row for row in pending if needs_fallback(tried[row][-1], wanted[row].options)]
            if not pending:
                break
        return [
            choose_best(tried[row], each.options) if row in pending else tried[row][-1]
            for row, each in enumerate(wanted)
        ]

    def _generate(
        self, encoded: ctranslate2.StorageView, wanted: Sequence[Wanted], temperature: float, max_length: int
    ) -> list[Attempt]:
        options = wanted[0].options
        search: dict[str, Any] = {"beam_size": options.beam_size, "patience": 1}
        if temperature > 0:
            search = {
                "beam_size": 1,
                "num_hypotheses": options.best_of,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
        results = self._model.generate(
            encoded,
            [each.prompt for each in wanted],
            max_length=max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._tokenizers.suppressed,
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
