"""Measure how many words are given to the wrong speaker, on conversations with known turns.

`python -m benchmarks.diarization.words`, with the model of WHISPER_MODEL; with --live, as a live session hears them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
from faster_whisper.audio import decode_audio

from benchmarks.diarization.conversations import SHARED, Stretch, read_conversation
from benchmarks.report import table
from formats.registry import ResponseFormat
from transcription.cli.live_engine import LiveEngine
from transcription.cli.local import LocalTranscriber
from transcription.cli.transcriber import RecordingRequest
from transcription.core.audio import INT16_SCALE, SAMPLE_RATE
from transcription.core.settings import load_settings

FIELDS = {"diarize": "true", "timestamp_granularity": "word"}
LIVE_BYTES = 2 * SAMPLE_RATE // 10  # of audio at a time
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


async def heard_live(transcriber: LocalTranscriber, path: Path) -> list[Stretch]:
    """The words of a recording as a live session says them, with their speakers; "" where it knows none."""
    samples = (np.asarray(decode_audio(str(path), SAMPLE_RATE)) * (INT16_SCALE - 1)).astype("<i2").tobytes()
    async with transcriber.live(FIELDS) as engine:
        reading = asyncio.create_task(_read(engine))
        for start in range(0, len(samples), LIVE_BYTES):
            await engine.feed(samples[start : start + LIVE_BYTES])
        await engine.finish()
        await reading
        [answer] = (await engine.results((ResponseFormat.VERBOSE_JSON,))).values()
    words = [word for segment in json.loads(answer)["segments"] for word in segment["words"]]
    return [Stretch(word["start"], word["end"], word.get("speaker", "")) for word in words]


async def _read(engine: LiveEngine) -> None:
    async for _ in engine.events():
        pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.diarization.words", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--given", type=Path, default=SHARED / "diarization", help="folder of FLAC files with RTTM")
    parser.add_argument(
        "--live", action="store_true", help="in live sessions, which get the audio as fast as they take it"
    )
    options = parser.parse_args(arguments)
    given: Path = options.given
    transcriber = LocalTranscriber(load_settings())
    rows = []
    try:
        for path in sorted(each.with_suffix(".flac") for each in given.glob("*.rttm")):
            words = asyncio.run(heard_live(transcriber, path)) if options.live else transcribed(transcriber, path)
            wrong, counted = count_wrong(words, read_conversation(path).reference)
            rows.append((path.stem, len(words), counted, wrong, f"{100 * wrong / max(1, counted):.2f} %"))
    finally:
        transcriber.close()
    print(table(HEADER, [tuple(map(str, row)) for row in rows]))
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
