"""Detects the languages of encoded windows."""

from __future__ import annotations

from collections.abc import Sequence

import ctranslate2

from runners.decode.model import ModelHandle
from runners.decode.rules import likeliest
from transcription.core.errors import ModelUnavailable
from transcription.core.options import DecodeOptions


class Languages:
    """The languages that a model hears."""

    def __init__(self, model: ModelHandle) -> None:
        self._name = model.name
        self._model: ctranslate2.models.Whisper = model.whisper.model
        self._arrays = model.arrays

    def heard(
        self, encoded: ctranslate2.StorageView, rows: Sequence[int], options: Sequence[DecodeOptions]
    ) -> list[tuple[str, float]]:
        """The likeliest language of each of the rows, and its probability.

        options: of each row, which has the languages to choose from.

        Raises ModelUnavailable for a model that cannot detect languages.
        """
        if not rows:
            return []
        found = []
        rankings = self._model.detect_language(self._arrays.take_rows(encoded, rows))
        for ranking, each in zip(rankings, options, strict=True):
            if not ranking:
                raise ModelUnavailable(
                    f"The model '{self._name}' cannot detect languages: its config.json lacks lang_ids. "
                    "Convert it again, or state the language in the request."
                )
            ranked = [(token[2:-2], float(probability)) for token, probability in ranking]  # <|en|>
            found.append(likeliest(ranked, each.languages))
        return found
