"""A small byte-level BPE tokenizer, with Whisper's special tokens in Whisper's order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.models.whisper.tokenization_whisper import LANGUAGES

TEXT_PIECES = 1000
LANGUAGE_CODES = tuple(LANGUAGES)[:99]  # large-v3 appends Cantonese as a hundredth
TIMESTAMP_STEP = 0.02  # seconds
TIMESTAMPS = 1501  # 0.00 to 30.00
TASK_TOKENS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")


def special_tokens() -> list[str]:
    """All tokens after the text pieces, in Whisper's order."""
    names = ["endoftext", "startoftranscript", *LANGUAGE_CODES, *TASK_TOKENS]
    times = [f"{index * TIMESTAMP_STEP:.2f}" for index in range(TIMESTAMPS)]
    return [f"<|{name}|>" for name in (*names, *times)]


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Train the text pieces. As in Whisper, each text starts with a space."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TEXT_PIECES, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator((f" {text}" for text in texts), trainer)
    document = json.loads(tokenizer.to_str())
    vocabulary = document["model"]["vocab"]
    # CTranslate2 regards a Whisper model as multilingual if its vocabulary contains the empty string.
    vocabulary[""] = len(vocabulary)
    first = len(vocabulary)
    document["added_tokens"] = [
        {
            "id": first + index,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, content in enumerate(special_tokens())
    ]
    return Tokenizer.from_str(json.dumps(document))


@dataclass(frozen=True)
class Vocabulary:
    """Token ids by meaning."""

    tokenizer: Tokenizer

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        return cls(Tokenizer.from_file(str(path)))

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size(with_added_tokens=True))

    def id(self, name: str) -> int:
        """The id of the special token <|name|>."""
        token: int = self.tokenizer.token_to_id(f"<|{name}|>")
        return token

    @property
    def first_timestamp(self) -> int:
        return self.id("0.00")

    def timestamp(self, seconds: float) -> int:
        """The id of the timestamp token nearest to `seconds`, 0..30."""
        return self.first_timestamp + min(TIMESTAMPS - 1, max(0, round(seconds / TIMESTAMP_STEP)))

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The token ids of " " + text, and for each the range of characters in `text` that it covers."""
        encoding = self.tokenizer.encode(f" {text}", add_special_tokens=False)
        return encoding.ids, [(max(0, a - 1), max(0, b - 1)) for a, b in encoding.offsets]
