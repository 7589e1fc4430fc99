"""Counts the errors of a transcript, after Whisper's normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import jiwer
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

# Written without spaces between words: characters are counted, as in the Whisper paper.
CHARACTER_LANGUAGES = frozenset({"zh", "yue", "ja", "th", "lo", "my"})


@dataclass(frozen=True, slots=True)
class Errors:
    """The cheapest way from the reference to the transcript, in words or characters.

    units: words or characters of the reference. longest_gap: the most that are missing in a row.
    """

    units: int
    replaced: int
    dropped: int
    invented: int
    longest_gap: int = 0

    @property
    def total(self) -> int:
        return self.replaced + self.dropped + self.invented


def units(text: str, language: str) -> list[str]:
    """The words or, in languages that are written without spaces, the characters that are compared."""
    return str(_normaliser(language)(text)).split()


def plain_words(text: str, language: str) -> list[str]:
    """As `units`, but the same however the text is divided: English rules are applied to each word by itself.

    "six" and "6" are equal, "twenty one" and "21" are not.
    """
    if language in CHARACTER_LANGUAGES:
        return units(text, language)
    return [plain for word in units(text, "") for plain in units(word, language) or [word]]


def count_errors(reference: Sequence[str], transcript: Sequence[str]) -> Errors:
    """Compare two lists of units."""
    found = jiwer.process_words(" ".join(reference), " ".join(transcript))
    gaps = [chunk.ref_end_idx - chunk.ref_start_idx for chunk in found.alignments[0] if chunk.type == "delete"]
    return Errors(len(reference), found.substitutions, found.deletions, found.insertions, max(gaps, default=0))


def matches(reference: Sequence[str], transcript: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of the units that are equal in the alignment, in order."""
    found = jiwer.process_words(" ".join(reference), " ".join(transcript))
    return [
        (chunk.ref_start_idx + step, chunk.hyp_start_idx + step)
        for chunk in found.alignments[0]
        if chunk.type == "equal"
        for step in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]


@cache
def _normaliser(language: str) -> BasicTextNormalizer | EnglishTextNormalizer:
    if language == "en":
        return EnglishTextNormalizer()
    return BasicTextNormalizer(split_letters=language in CHARACTER_LANGUAGES)
