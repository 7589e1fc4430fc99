"""Evaluate the service and its peers on a folder of recordings with references: the same weights, in one run.

`make evaluate DATA=DIR` or `python -m benchmarks.evaluate --data DIR`. docs/ACCURACY.md describes what is measured.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import ctranslate2
import faster_whisper

from benchmarks.evaluate.references import InvalidReferences, Reference, read_references, take
from benchmarks.evaluate.report import NoMarkers, insert, render, write_details
from benchmarks.evaluate.results import Result, measure
from benchmarks.evaluate.systems import SYSTEMS, ModelChoice, SystemFailed, running
from runners.models.catalogue import EMBEDDED_MODEL, canonical, resolve
from runners.placement import available_cores, choose_placement
from runners.start_layout import choose_start
from tests.support.service import ROOT, DidNotStart
from transcription.core.errors import TranscriptionError
from transcription.core.settings import Settings, load_settings

SHARED_RECORDINGS = ROOT.parent / "shared" / "data" / "eval"
PROGRESS_EVERY = 10  # recordings
INTERRUPTED = 130  # exit code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    options = _parse(arguments)
    try:
        references = take(read_references(options.data, options.timed_language), options.limit)
        if not references:
            raise InvalidReferences(f"{options.data} has no recordings.")
        model = choose_model(options.model, options.model_dir)
        results = evaluate(options.systems, model, references)
        done = len(next(iter(results.values())))
        if not done:
            return INTERRUPTED
        text = f"{_head(options, model, done, len(references))}\n\n{render(results)}"
        print(f"\n{text}")
        if options.details:
            write_details(results, options.details)
        if options.write:
            insert(options.write, text)
    except TranscriptionError as error:
        print(f"error: {error.message} {error.detail}".strip(), file=sys.stderr)
        return 1
    except (InvalidReferences, NoMarkers, DidNotStart, SystemFailed, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def evaluate(names: Sequence[str], model: ModelChoice, references: Sequence[Reference]) -> dict[str, list[Result]]:
    """Results by system, in the order of the references. After an interrupt, of those that every system has done."""
    results: dict[str, list[Result]] = {name: [] for name in names}
    with running(names, model) as systems:
        try:
            _collect(results, measure(systems, references), len(references))
        except KeyboardInterrupt:
            print("Interrupted; the figures are of what is done.", file=sys.stderr)
    done = min(map(len, results.values()))
    return {name: measured[:done] for name, measured in results.items()}


def _collect(results: dict[str, list[Result]], measured: Iterator[tuple[str, Result]], count: int) -> None:
    started = time.monotonic()
    for number, (name, result) in enumerate(measured, start=1):
        results[name].append(result)
        if number % (PROGRESS_EVERY * len(results)) == 0:
            done = f"{number // len(results)} of {count} recordings"
            print(f"{done}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def choose_model(name: str, root: Path | None) -> ModelChoice:
    """The model in `root`, by default WHISPER_MODEL_DIR; downloaded if the hub can be reached.

    Raises UnknownModel, ModelUnavailable.
    """
    settings: Settings = load_settings().model_copy(update={"whisper_model": name})
    if root is not None:
        settings = settings.model_copy(update={"whisper_model_dir": root.resolve()})
    folder, placement = resolve(name, settings), choose_placement(settings)
    layout = choose_start(settings, placement, available_cores()).choice.layout
    return ModelChoice(canonical(name), settings.whisper_model_dir, folder, placement, layout)


def _head(options: argparse.Namespace, model: ModelChoice, done: int, count: int) -> str:
    limit = f", at most {options.limit} of each language" if options.limit else ""
    part = "" if done == count else f" of {count}; interrupted"
    cores = f"{available_cores()} cores" if model.placement.device == "cpu" else "GPU"
    return (
        f"Model `{model.name}`, {model.placement.compute_type} on {model.placement.device} ({cores}); "
        f"faster-whisper {faster_whisper.__version__}, CTranslate2 {ctranslate2.__version__}; "
        f"{done} recordings{part}{limit}. In brackets: 95 % confidence intervals."
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluate", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--data", type=Path, default=SHARED_RECORDINGS, help="folder with references.tsv")
    parser.add_argument("--model", default="base", help=f"a model's name, or {EMBEDDED_MODEL} (default: base)")
    parser.add_argument("--model-dir", type=Path, help="folder of models (default: WHISPER_MODEL_DIR)")
    parser.add_argument(
        "--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), help="others are compared with the first"
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="at most N recordings of each language")
    parser.add_argument(
        "--timed-language", default="en", metavar="CODE", help="language of recordings with times and no row (en)"
    )
    parser.add_argument("--details", type=Path, metavar="FILE", help="write every transcript into a TSV file")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the tables between the markers of a document")
    options = parser.parse_args(arguments)
    options.systems = list(dict.fromkeys(options.systems))
    return options


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    # A shell lets commands in the background ignore SIGINT.
    for interrupt in (signal.SIGINT, signal.SIGTERM):
        signal.signal(interrupt, signal.default_int_handler)
    sys.exit(main())
