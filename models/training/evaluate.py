"""Evaluate the embedded checkpoint on new synthetic speech and write the table of its model card.

Synthesises random sentences in held-out voice variants, one to four per recording, transcribes them as the service
does, and compares words, language and segment boundaries. Exits with 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray

from models.training.augment import coloured_noise
from models.training.pool import HELD_OUT_VARIANTS, random_voice
from models.training.sentences import GRAMMARS
from models.training.speech import SAMPLE_RATE, synthesiser

ROOT = Path(__file__).resolve().parents[2]
CARD = ROOT / "models" / "demo" / "MODEL_CARD.md"
TABLE = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- /figures -->)", re.DOTALL)
MAX_WORD_ERROR_RATE = 0.10
MIN_LANGUAGE_ACCURACY = 0.95
MAX_BOUNDARY_ERROR = 0.3  # seconds, median
SENTENCES_PER_RECORDING = (1, 1, 2, 4)
QUIET_RECORDINGS = 40

Audio = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recording:
    """Spoken sentences. boundaries: start and end of each sentence, seconds."""

    language: str
    audio: Audio
    sentences: tuple[str, ...]
    boundaries: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class Score:
    """The counts of one language."""

    sentences: int = 0
    recordings: int = 0
    words: int = 0
    word_errors: int = 0
    languages_correct: int = 0
    boundary_errors: list[float] = field(default_factory=list)

    @property
    def word_error_rate(self) -> float:
        return self.word_errors / self.words

    @property
    def language_accuracy(self) -> float:
        return self.languages_correct / self.recordings

    @property
    def boundary_error(self) -> float:
        return statistics.median(self.boundary_errors)

    @property
    def meets_goals(self) -> bool:
        return (
            self.word_error_rate <= MAX_WORD_ERROR_RATE
            and self.language_accuracy >= MIN_LANGUAGE_ACCURACY
            and self.boundary_error <= MAX_BOUNDARY_ERROR
        )


def recordings(language: str, sentences: int, rng: random.Random) -> Iterator[Recording]:
    """Recordings with one voice each, of `sentences` sentences in all."""
    while sentences > 0:
        count = min(sentences, rng.choice(SENTENCES_PER_RECORDING))
        sentences -= count
        yield record(language, tuple(GRAMMARS[language].sentence(rng) for _ in range(count)), rng)


def record(language: str, sentences: tuple[str, ...], rng: random.Random) -> Recording:
    """The sentences in a held-out voice, with pauses of 0.4 to 1.5 s and faint noise."""
    voice = random_voice(language, HELD_OUT_VARIANTS, rng)
    parts: list[Audio] = [_silence(rng.uniform(0.1, 0.8))]
    boundaries = []
    for sentence in sentences:
        spoken = synthesiser().speak(sentence, voice)
        if spoken is None:
            raise RuntimeError(f"espeak-ng produced no speech for: {sentence}")
        start = sum(map(len, parts)) / SAMPLE_RATE
        boundaries.append((start, start + len(spoken.samples) / SAMPLE_RATE))
        parts += [spoken.samples.astype(np.float32) / 32768, _silence(rng.uniform(0.4, 1.5))]
    audio = np.concatenate(parts)
    audio *= rng.uniform(0.2, 0.9) / np.abs(audio).max()
    noise = coloured_noise(len(audio), np.random.default_rng(rng.getrandbits(32)))
    audio += noise * np.float32(audio.std() * 10 ** (-rng.uniform(20, 45) / 20))
    return Recording(language, audio.astype(np.float32), sentences, tuple(boundaries))


def _silence(seconds: float) -> Audio:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """The Levenshtein distance in words."""
    row = list(range(len(hypothesis) + 1))
    for index, word in enumerate(reference, start=1):
        previous, row[0] = row[0], index
        for column, other in enumerate(hypothesis, start=1):
            previous, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, previous + (word != other))
    return row[-1]


def measure(model: WhisperModel, recording: Recording, score: Score, show: bool) -> None:
    """Transcribe one recording and add the counts to `score`. show: print errors."""
    segments, info = model.transcribe(recording.audio, vad_filter=True, condition_on_previous_text=False, beam_size=5)
    found = list(segments)
    reference = " ".join(recording.sentences).split()
    hypothesis = "".join(segment.text for segment in found).split()
    errors = word_errors(reference, hypothesis)
    if show and errors:
        print(f"  {recording.language}: {' '.join(reference)}\n      {' '.join(hypothesis)}")
    score.recordings += 1
    score.sentences += len(recording.sentences)
    score.words += len(reference)
    score.word_errors += errors
    score.languages_correct += info.language == recording.language
    if len(found) == len(recording.boundaries):
        for segment, (start, end) in zip(found, recording.boundaries, strict=True):
            score.boundary_errors += [abs(segment.start - start), abs(segment.end - end)]


def words_on_quiet(model: WhisperModel, seed: int) -> int:
    """The number of words transcribed from silence and noise, with and without voice activity detection."""
    rng = np.random.default_rng(seed)
    words = 0
    for index in range(QUIET_RECORDINGS):
        length = int(rng.uniform(1, 20) * SAMPLE_RATE)
        level = 0.0 if index % 4 == 0 else 10 ** rng.uniform(-4, -0.8)
        audio = np.clip(coloured_noise(length, rng) * level, -1, 1).astype(np.float32)
        for vad in (True, False):
            segments, _ = model.transcribe(audio, vad_filter=vad, condition_on_previous_text=False, beam_size=5)
            words += sum(len(segment.text.split()) for segment in segments)
    return words


def table(scores: dict[str, Score], quiet_words: int) -> str:
    """The figures as a Markdown table."""
    rows = [
        "| language | sentences | word error rate | language detected | boundary error, median | segments matched |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {language} | {score.sentences} | {score.word_error_rate:.1%} | {score.language_accuracy:.1%} "
        f"| {score.boundary_error:.2f} s | {len(score.boundary_errors) // 2} |"
        for language, score in scores.items()
    ]
    rows += [
        "",
        f"Words on {QUIET_RECORDINGS} recordings of silence and noise, with and without VAD: {quiet_words}.",
        "",
    ]
    return "\n".join(rows)


def main() -> int:
    """Run the evaluation; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, default=ROOT / "models" / "demo", help="model folder (default: the embedded one)"
    )
    parser.add_argument("--sentences", type=int, default=200, help="sentences per language (default: 200)")
    parser.add_argument(
        "--seed", type=int, default=2026, help="random seed of sentences, voices and noise (default: 2026)"
    )
    parser.add_argument("--show", action="store_true", help="print transcription errors")
    parser.add_argument("--no-card", action="store_true", help="do not update the model card")
    arguments = parser.parse_args()
    model = WhisperModel(str(arguments.model), device="cpu", compute_type="int8", cpu_threads=2)
    scores = {}
    for language in GRAMMARS:
        rng = random.Random(f"{language}{arguments.seed}")
        score = scores[language] = Score()
        for recording in recordings(language, arguments.sentences, rng):
            measure(model, recording, score, arguments.show)
    quiet_words = words_on_quiet(model, arguments.seed)
    figures = table(scores, quiet_words)
    print(figures)
    if not arguments.no_card:
        CARD.write_text(TABLE.sub(lambda _: figures, CARD.read_text()))
        print(f"Wrote the table into {CARD}.")
    return 0 if quiet_words == 0 and all(score.meets_goals for score in scores.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
