"""Runs the systems on the recordings, and computes figures from what they returned."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from faster_whisper import decode_audio

from benchmarks.evaluate import bootstrap
from benchmarks.evaluate.bootstrap import Estimate
from benchmarks.evaluate.references import Reference
from benchmarks.evaluate.scoring import CHARACTER_LANGUAGES, Errors, count_errors, units
from benchmarks.evaluate.sound import to_sound
from benchmarks.evaluate.systems import Heard, Transcriber, cpu_seconds
from benchmarks.evaluate.times import TimeErrors, time_errors
from benchmarks.report import percentile
from transcription.core.audio import SAMPLE_RATE

PERCENTILE = 0.95


@dataclass(frozen=True, slots=True)
class Times:
    """Time errors against the times of the reference, and against those of the sound in them."""

    segments: TimeErrors
    words: TimeErrors
    segments_to_sound: TimeErrors
    words_to_sound: TimeErrors


@dataclass(frozen=True, slots=True)
class Result:
    """One recording by one system. cpu, seconds: what it took, CPU time and elapsed time in seconds.

    duration: of the recording, seconds; the same for all systems. times: None if the reference has none.
    """

    reference: Reference
    heard: Heard
    errors: Errors
    cpu: float
    seconds: float
    duration: float
    times: Times | None = None

    @property
    def language_correct(self) -> bool:
        return self.heard.language == self.reference.language

    @property
    def in_characters(self) -> bool:
        return self.reference.language in CHARACTER_LANGUAGES


def measure(systems: Mapping[str, Transcriber], references: Sequence[Reference]) -> Iterator[tuple[str, Result]]:
    """Every recording by every system, one at a time, in turns, so that other load affects all alike.

    A first request to each, with the smallest file, is not measured: it may load the model.
    """
    names = list(systems)
    smallest = min((reference.path for reference in references), key=lambda path: path.stat().st_size)
    for system in systems.values():
        system.transcribe(smallest, words=False)
    for number, reference in enumerate(references):
        shift = number % len(names)
        for name in (*names[shift:], *names[:shift]):
            yield name, _measure(systems[name], reference)


def _measure(system: Transcriber, reference: Reference) -> Result:
    root = system.process()
    used, started = cpu_seconds(root), time.perf_counter()
    heard = system.transcribe(reference.path, words=False)
    seconds, cpu = time.perf_counter() - started, cpu_seconds(root) - used
    language = reference.language
    errors = count_errors(units(reference.text, language), units(heard.text, language))
    if not reference.times:
        return Result(reference, heard, errors, cpu, seconds, heard.duration)
    # Once more: word times cost CPU time, and are not part of the default.
    words = system.transcribe(reference.path, words=True).words
    sound = to_sound(reference.times, decode_audio(str(reference.path), sampling_rate=SAMPLE_RATE))
    times = Times(
        *(time_errors(said, found, language) for said in (reference.times, sound) for found in (heard.segments, words))
    )
    return Result(reference, heard, errors, cpu, seconds, heard.duration, times)


def error_rate(results: Sequence[Result]) -> Estimate | None:
    """Errors per word or character of the references. None without any."""
    return bootstrap.ratio([each.errors.total for each in results], [each.errors.units for each in results])


def rate_difference(results: Sequence[Result], others: Sequence[Result]) -> Estimate | None:
    """The error rate of the first minus that of the second, on the same recordings in the same order."""
    differences = [one.errors.total - other.errors.total for one, other in zip(results, others, strict=True)]
    return bootstrap.ratio(differences, [each.errors.units for each in results])


def language_accuracy(results: Sequence[Result]) -> Estimate | None:
    """The share of recordings whose language was detected; those in which nothing is said do not count."""
    spoken = [each for each in results if each.reference.text]
    return bootstrap.ratio([float(each.language_correct) for each in spoken], [1.0] * len(spoken))


def cpu_per_second(results: Sequence[Result]) -> Estimate | None:
    """CPU seconds per second of audio."""
    return bootstrap.ratio([each.cpu for each in results], [each.duration for each in results])


def speed(results: Sequence[Result]) -> Estimate | None:
    """Seconds of audio per second, one recording at a time."""
    return bootstrap.ratio([each.duration for each in results], [each.seconds for each in results])


def median_error(files: Sequence[Sequence[float]]) -> Estimate | None:
    """The median of the absolute time errors, seconds."""
    return bootstrap.statistic(files, lambda drawn: _of_all(drawn, 0.5))


def percentile_error(files: Sequence[Sequence[float]]) -> Estimate | None:
    """The 95th percentile of the absolute time errors, seconds."""
    return bootstrap.statistic(files, lambda drawn: _of_all(drawn, PERCENTILE))


def _of_all(files: Sequence[Sequence[float]], share: float) -> float | None:
    errors = [abs(error) for file in files for error in file]
    if not errors:
        return None
    return statistics.median(errors) if share == 0.5 else percentile(errors, share)
