"""The tables of an evaluation, in Markdown, and a file with every transcript."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.evaluate import results as figures
from benchmarks.evaluate.bootstrap import Estimate
from benchmarks.evaluate.results import Result
from benchmarks.evaluate.times import TimeErrors
from benchmarks.report import table

NONE = "–"
MARKED = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- /figures -->)", re.DOTALL)
DETAILS = ("file", "system", "language", "detected", "units", "replaced", "dropped", "invented", "cpu_s", "text")

Results = Mapping[str, Sequence[Result]]


class NoMarkers(Exception):
    """The document does not say where the tables belong."""


def render(results: Results) -> str:
    """All tables. results: by system, of the same recordings in the same order."""
    parts = ["### Words and characters", _errors(results, characters=False), _errors(results, characters=True)]
    parts += ["### Languages", _by_language(results), "### Detected language and cost", _cost(results)]
    if any(each.times for each in _any(results)):
        parts += ["### Times", _times(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def insert(path: Path, text: str) -> None:
    """Replace what is between the markers of a document. Raises NoMarkers and OSError."""
    document = path.read_text(encoding="utf-8")
    if not MARKED.search(document):
        raise NoMarkers(f"{path} has no lines <!-- figures --> and <!-- /figures -->.")
    path.write_text(MARKED.sub(lambda _: f"\n{text}\n", document), encoding="utf-8")


def write_details(results: Results, path: Path) -> None:
    """A row for every recording and system. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(DETAILS)
        for system, measured in results.items():
            for each in measured:
                counts = (each.errors.units, each.errors.replaced, each.errors.dropped, each.errors.invented)
                languages = (each.reference.language, each.heard.language)
                writer.writerow((each.reference.name, system, *languages, *counts, f"{each.cpu:.2f}", each.heard.text))


def percent(estimate: Estimate | None, sign: str = "") -> str:
    """A share with its interval, in percent. sign: "+" shows the sign of positive figures, too."""
    return _with_interval(estimate, lambda value: f"{100 * value:{sign}.2f}", " %")


def decimal(estimate: Estimate | None, digits: int = 2) -> str:
    """A figure with its interval."""
    return _with_interval(estimate, lambda value: f"{value:.{digits}f}", "")


def _with_interval(estimate: Estimate | None, show: Callable[[float], str], unit: str) -> str:
    if estimate is None:
        return NONE
    if estimate.low is None or estimate.high is None:
        return show(estimate.value) + unit
    return f"{show(estimate.value)}{unit} ({show(estimate.low)} to {show(estimate.high)})"


def _errors(results: Results, *, characters: bool) -> str:
    chosen = {name: [each for each in some if each.in_characters == characters] for name, some in results.items()}
    if not _any(chosen):
        return ""
    unit = "characters" if characters else "words"
    first = next(iter(chosen))
    total = sum(each.errors.units for each in chosen[first])
    head = (f"{len(chosen[first])} files, {total} {unit}", "error rate", f"minus that of {first}")
    rows = [
        (
            name,
            percent(figures.error_rate(some)),
            NONE if name == first else percent(figures.rate_difference(some, chosen[first]), "+"),
            str(sum(each.errors.replaced for each in some)),
            str(sum(each.errors.dropped for each in some)),
            str(max(each.errors.longest_gap for each in some)),
            str(sum(each.errors.invented for each in some)),
        )
        for name, some in chosen.items()
    ]
    return table((*head, "replaced", "dropped", "most dropped in a row", "invented"), rows)


def _by_language(results: Results) -> str:
    languages = sorted({each.reference.language for each in _any(results)})
    rows = []
    for language in languages:
        chosen = {name: [r for r in some if r.reference.language == language] for name, some in results.items()}
        some = _any(chosen)
        minutes = sum(each.duration for each in some) / 60
        unit = "characters" if some[0].in_characters else "words"
        rates = [percent(figures.error_rate(each)) for each in chosen.values()]
        rows.append((f"{language}, {unit}", str(len(some)), f"{minutes:.1f}", *rates))
    return table(("error rate of", "files", "minutes", *results), rows)


def _cost(results: Results) -> str:
    rows = [
        (
            name,
            percent(figures.language_accuracy(some)),
            decimal(figures.cpu_per_second(some), 3),
            decimal(figures.speed(some), 1),
        )
        for name, some in results.items()
    ]
    head = ("", "language detected", "CPU seconds per second of audio", "seconds of audio per second, one client")
    return table(head, rows)


def _times(results: Results) -> str:
    rows = []
    for kind in ("segment", "word"):
        for edge in ("start", "end"):
            for name, some in results.items():
                times = [each.times for each in some if each.times]
                given = [each.segments if kind == "segment" else each.words for each in times]
                sound = [each.segments_to_sound if kind == "segment" else each.words_to_sound for each in times]
                cells = [*_time_errors(sound, edge), *_time_errors(given, edge)]
                found = sum(len(each.starts if edge == "start" else each.ends) for each in given)
                rows.append((f"{kind} {edge}, {name}", *cells, f"{found} of {sum(each.edges for each in given)}"))
    head = ("median, to the sound", "95th percentile", "median, to the reference", "95th percentile")
    return table(("time error, seconds", *head, "edges compared"), rows)


def _time_errors(errors: Sequence[TimeErrors], edge: str) -> tuple[str, str]:
    values = [each.starts if edge == "start" else each.ends for each in errors]
    return decimal(figures.median_error(values)), decimal(figures.percentile_error(values))


def _any(results: Results) -> Sequence[Result]:
    return next(iter(results.values()))
