"""What the user sees while the command works: text as it comes, progress, messages."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from formats.registry import ResponseFormat
from formats.subtitles.cues import clock
from transcription.cli.output import write_to_stdout
from transcription.cli.recordings import as_text
from transcription.cli.transcriber import RecordingFailed, ReportProgress, ShowText

MS_PER_SECOND = 1000
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Screen:
    """Standard error for messages and progress, standard output for the text.

    quiet: errors only. verbose: print the text as it is decoded.
    """

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self._quiet = quiet
        self._verbose = verbose and not quiet
        self._console = Console(stderr=True)

    @contextmanager
    def progress(self, name: str) -> Iterator[tuple[ReportProgress, ShowText]]:
        """Progress of one recording, with the time left, if standard error is a terminal; and its text as it comes."""
        if self._quiet or not self._console.is_terminal:
            yield (lambda step, share: None), self._text_to(_print)
            return
        columns = (
            # Without markup: a name may have brackets.
            *(TextColumn("{task.fields[name]}", markup=False), TextColumn("{task.description}")),
            *(BarColumn(), TaskProgressColumn()),
            *(TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn()),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("", total=None, name=_shown(name))
            last = ""

            def report(step: str, share: float | None) -> None:
                nonlocal last
                if step != last:  # the speed of an upload says nothing about that of the model
                    progress.reset(task, total=None)
                last = step
                progress.update(task, description=step, total=None if share is None else 1.0, completed=share or 0.0)

            # Above the bar if both are the same terminal; through a pipe the text passes by it.
            to_terminal = sys.stdout is not None and sys.__stdout__ is not None and sys.__stdout__.isatty()
            yield (
                report,
                self._text_to(lambda line: progress.console.print(Text(line)) if to_terminal else _print(line)),
            )

    def wrote(self, title: str, targets: Mapping[ResponseFormat, Path]) -> None:
        """Name the files that were written."""
        self.tell(title, ", ".join(_shown(str(path)) for path in targets.values()))

    def tell(self, title: str, message: str) -> None:
        """Print a message that is not an error."""
        if not self._quiet:
            click.echo(f"{_shown(title)}: {message}", err=True)

    def complain(self, title: str, error: Exception | str) -> None:
        """Print an error or a warning on one line."""
        click.echo(f"{_shown(title)}: {_shown(' '.join(str(error).split()))}", err=True)

    def _text_to(self, write: Callable[[str], None]) -> ShowText:
        closed = not self._verbose

        def show(start: float, end: float, text: str) -> None:
            nonlocal closed
            if closed:
                return
            try:
                write(f"[{_clock(start)} --> {_clock(end)}] {text}")
            except RecordingFailed:
                closed = True  # its reader, such as head, has seen enough; the results are written all the same

        return show


def _shown(text: str) -> str:
    """Text for one line of a terminal. Control characters, which a name may have, would break it or be obeyed."""
    return CONTROL.sub(lambda each: repr(each[0])[1:-1], as_text(text))


def _print(line: str) -> None:
    write_to_stdout(f"{line}\n")


def _clock(seconds: float) -> str:
    """A time as whisper's command prints it: without hours if there are none."""
    return clock(round(seconds * MS_PER_SECOND), ".").removeprefix("00:")
