"""Measure who is said to speak when, on conversations with known turns; sherpa-onnx on the same weights beside it.

`python -m benchmarks.diarization`, see docs/SPEAKERS.md. Conversations are read from --given, and built from the
recordings of single speakers in --voices.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.diarization.conversations import (
    HARDER,
    RECIPES,
    SHARED,
    Conversation,
    build,
    by_speaker,
    read_conversation,
    write_rttm,
)
from benchmarks.diarization.drawn import HALVES, drawn
from benchmarks.diarization.scoring import COLLARS, Score, score
from benchmarks.diarization.systems import OURS, SYSTEMS, Found, run
from benchmarks.report import table

HEADER = (
    "conversation",
    "system",
    "speakers",
    "found",
    *(f"DER, collar {collar:g} s" for collar in COLLARS),
    "missed",
    "invented",
    "confused",
    "CPU-s/s",
    "memory, MB",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One system on one conversation."""

    conversation: Conversation
    system: str
    score: Score
    found: Found

    def cells(self) -> tuple[str, ...]:
        """As in HEADER. The parts of the error are those without a collar."""
        parts = self.score.errors[0.0]
        return (
            self.conversation.name,
            self.system,
            str(self.conversation.speakers),
            str(self.conversation.speakers + self.score.speakers_off),
            *(_percent(self.score.errors[collar].rate) for collar in COLLARS),
            *(_percent(part / parts.total) for part in (parts.missed, parts.invented, parts.confused)),
            f"{self.found.cpu / self.conversation.seconds:.4f}",
            f"{self.found.memory:.0f}",
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; returns the exit code."""
    options = _parse(arguments)
    rows = []
    for conversation in _conversations(options):
        for system in options.systems:
            found = run(system, conversation, conversation.speakers if options.told else None)
            rows.append(Row(conversation, system, score(conversation, found.stretches), found))
            print(" ".join(rows[-1].cells()), file=sys.stderr, flush=True)
            if options.rttm:
                text = write_rttm(conversation.name, found.stretches)
                (options.rttm / f"{conversation.name}.{system}.rttm").write_text(text)
    if not rows:
        print("error: no conversations: give --given a folder with RTTM files, or --voices recordings", file=sys.stderr)
        return 1
    print(table(HEADER, [row.cells() for row in rows]))
    print("\n".join(_summary(rows)))
    return 0


def _summary(rows: Sequence[Row]) -> Iterator[str]:
    for system in dict.fromkeys(row.system for row in rows):
        own = [row for row in rows if row.system == system]
        rates = [_percent(_mean(row.score.errors[collar].rate for row in own)) for collar in COLLARS]
        wrong = sum(row.score.speakers_off != 0 for row in own)
        yield (
            f"{system}: mean error rate {' and '.join(rates)} (collars of {' and '.join(map(str, COLLARS))} s); number "
            f"of speakers wrong in {wrong} of {len(own)}"
        )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _conversations(options: argparse.Namespace) -> Iterator[Conversation]:
    given = [read_conversation(path.with_suffix(".flac")) for path in sorted(options.given.glob("*.rttm"))]
    yield from given
    voices = by_speaker(*options.voices)
    if options.half:
        in_given = {each.speaker for conversation in given for each in conversation.reference}
        unheard = {name: paths for name, paths in voices.items() if name not in in_given}
        yield from drawn(unheard, options.half, options.seeds, in_one_sitting=options.one_sitting)
        return
    for recipe in (*RECIPES, *HARDER) if options.harder else RECIPES:
        if voices and recipe.name not in options.without:
            yield from (build(recipe, voices, seed) for seed in range(options.seeds))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.diarization", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--given", type=Path, default=SHARED / "diarization", help="folder of FLAC files with RTTM")
    parser.add_argument(
        "--voices",
        type=Path,
        nargs="+",
        default=[SHARED / "eval" / "en"],
        help="folders of recordings named SPEAKER-CHAPTER-NUMBER",
    )
    parser.add_argument("--half", choices=HALVES, help="build drawn conversations instead, of half of --voices")
    parser.add_argument("--one-sitting", action="store_true", help="with --half: recordings of one chapter of each")
    parser.add_argument("--seeds", type=int, default=1, help="conversations built of each kind; 0 for none (1)")
    parser.add_argument(
        "--without", nargs="+", choices=[recipe.name for recipe in RECIPES], default=[], help="kinds not built"
    )
    parser.add_argument("--harder", action="store_true", help="noise, rooms, music, very short turns and the like, too")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=[OURS], help=f"default: {OURS}")
    parser.add_argument("--told", action="store_true", help="tell the systems the number of speakers")
    parser.add_argument("--rttm", type=Path, help="folder for what the systems found")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
