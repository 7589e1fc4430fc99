"""The recordings in samples/, and how much of them a transcript must have."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.service import ROOT

ACCEPTABLE_LOSS = 0.34  # share of the words that a lossy codec may cost the small model
Transcribe = Callable[..., httpx.Response]  # the fixture `transcribe`


@dataclass(frozen=True, slots=True)
class SpokenClip:
    """A recording in samples/ and what is said in it."""

    path: Path
    language: str
    text: str


def shortest_clips() -> dict[str, SpokenClip]:
    """The shortest recording of each language."""
    samples = ROOT / "samples"
    with (samples / "transcripts.tsv").open(newline="", encoding="utf-8") as table:
        rows = sorted(csv.DictReader(table, delimiter="\t"), key=lambda row: -len(row["text"]))
    return {row["language"]: SpokenClip(samples / row["file"], row["language"], row["text"]) for row in rows}


def words_missing(expected: str, heard: str) -> float:
    """Share of the expected words that were not heard."""
    words = expected.split()
    spoken = heard.lower().split()
    return sum(word not in spoken for word in words) / len(words)
