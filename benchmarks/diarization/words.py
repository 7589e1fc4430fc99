"""Measure how many words are given to the wrong speaker, on conversations with known turns.

`python -m benchmarks.diarization.words`, with the model of WHISPER_MODEL.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

from benchmarks.diarization.conversations import SHARED, Stretch, read_conversation
from benchmarks.report import table
from formats.registry import ResponseFormat
from transcription.cli.local import LocalTranscriber
from transcription.cli.transcriber import RecordingRequest
from transcription.core.settings import load_settings

FIELDS = {"diarize": "true", "timestamp_granularity": "word"}
HEADER = ("conversation", "words", "counted", "wrong", "share")


def count_wrong(words: Sequence[Stretch], reference: Sequence[Stretch]) -> tuple[int, int]:
    """The words with a wrong speaker, and those that count: those during which exactly one person speaks.

    The speakers found are mapped to the real ones as is best for them. At most eight of either.
    """
    pairs = Counter((word.speaker, real[0]) for word in words if len(real := _speaking(word, reference)) == 1)
    found, present = sorted({each for each, _ in pairs}), sorted({each for _, each in pairs})
    present += [""] * (len(found) - len(present))
    right = max(
        sum(pairs[pair] for pair in zip(found, chosen, strict=True)) for chosen in permutations(present, len(found))
    )
    return pairs.total() - right, pairs.total()


def _speaking(word: Stretch, reference: Sequence[Stretch]) -> list[str]:
    return sorted({each.speaker for each in reference if each.start < word.end and word.start < each.end})


def transcribed(transcriber: LocalTranscriber, path: Path) -> list[Stretch]:
    """The words of a recording with their speakers."""
    request = RecordingRequest(path, path.name, (ResponseFormat.VERBOSE_JSON,), FIELDS)
    answer = json.loads(transcriber.transcribe(request, lambda step, share: None)[ResponseFormat.VERBOSE_JSON])
    words = [word for segment in answer["segments"] for word in segment["words"]]
    return [Stretch(word["start"], word["end"], word["speaker"]) for word in words]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.diarization.words", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--given", type=Path, default=SHARED / "diarization", help="folder of FLAC files with RTTM")
    given: Path = parser.parse_args(arguments).given
    transcriber = LocalTranscriber(load_settings())
    rows = []
    try:
        for path in sorted(each.with_suffix(".flac") for each in given.glob("*.rttm")):
            words = transcribed(transcriber, path)
            wrong, counted = count_wrong(words, read_conversation(path).reference)
            rows.append((path.stem, len(words), counted, wrong, f"{100 * wrong / max(1, counted):.2f} %"))
    finally:
        transcriber.close()
    print(table(HEADER, [tuple(map(str, row)) for row in rows]))
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
