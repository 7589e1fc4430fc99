"""The tokenizers of a model: one per language and task."""

from __future__ import annotations

from collections.abc import Sequence

from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from runners.decode.model import ModelHandle
from transcription.core.errors import InvalidParameter

ENGLISH = "en"
LANGUAGE_CODES = frozenset(_LANGUAGE_CODES)


class Tokenizers:
    """The tokenizers of one model. Thread-safe.

    suppressed: ids of tokens that are never speech.
    timestamp_begin: id of <|0.00|>; every id from there on is a timestamp.
    start_length: number of tokens that start an answer.
    """

    def __init__(self, model: ModelHandle) -> None:
        self._name = model.name
        self._whisper = model.whisper
        self._multilingual: bool = model.whisper.model.is_multilingual
        self._known: dict[tuple[str, str], Tokenizer] = {}
        # Text is the same in every language and task.
        self._text = self.of(ENGLISH, "transcribe")
        self.suppressed = list(get_suppressed_tokens(self._text, [-1]))
        self.timestamp_begin: int = self._text.timestamp_begin
        self.start_length = len(self._text.sot_sequence)

    def of(self, language: str, task: str) -> Tokenizer:
        """The tokenizer of a language and a task. Cheap: the expensive half is shared.

        Raises InvalidParameter for a language that the model does not know.
        """
        key = (language, task)
        if key not in self._known:
            known = not self._multilingual or self._whisper.hf_tokenizer.token_to_id(f"<|{language}|>") is not None
            if language not in LANGUAGE_CODES or not known:
                raise InvalidParameter(
                    f"The model '{self._name}' does not know the language '{language}'. "
                    "GET /languages lists the codes; leave language out to have it detected."
                )
            self._known[key] = Tokenizer(
                self._whisper.hf_tokenizer, self._multilingual, task=str(task), language=language
            )
        return self._known[key]

    def encode(self, text: str) -> list[int]:
        """Tokens of a prompt. Names of special tokens in it are left out: the model would obey them."""
        return [token for token in self._text.encode(" " + text.strip()) if token < self._text.eot]

    def count_characters(self, tokens: Sequence[int]) -> int:
        """The number of letters and digits in the text of tokens: punctuation is the model's choice."""
        return sum(character.isalnum() for character in self.text(tokens))

    def text(self, tokens: Sequence[int]) -> str:
        """Text of tokens, without timestamps."""
        return str(self._text.decode(tokens))
