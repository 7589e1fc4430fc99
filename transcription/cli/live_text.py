"""The text of live audio: on a terminal as it is spoken, in a pipe one line per utterance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from transcription.cli.live_engine import Complete, Event, Heard
from transcription.cli.output import write_to_stdout
from transcription.cli.transcriber import RecordingFailed

TENTATIVE_STYLE = "bright_black"  # grey


class LiveText:
    """Keeps the text of the utterances that are not complete."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[str, str]] = {}  # confirmed and tentative text, by utterance

    def add(self, event: Event) -> str:
        """Take an event. Returns the text of an utterance that is complete, "" for none."""
        if isinstance(event, Heard):
            confirmed, _ = self._open.get(event.utterance, ("", ""))
            self._open[event.utterance] = confirmed + event.confirmed, event.tentative
            return ""
        if event.utterance is None:
            return ""
        confirmed, _ = self._open.pop(event.utterance, ("", ""))
        return (event.text if isinstance(event, Complete) else confirmed).strip()  # what was confirmed stands

    def shown(self, width: int, height: int) -> Text:
        """What is spoken now, as far as it has room: its end, tentative text in grey. In columns and lines."""
        text = Text()
        for confirmed, tentative in self._open.values():
            text.append(confirmed.lstrip() if not len(text) else confirmed)
            text.append(tentative if len(text) else tentative.lstrip(), TENTATIVE_STYLE)
        room = max(1, width * (height - 2))
        return text[len(text) - room :] if len(text) > room else text


class Printer:
    """Prints the text as it comes."""

    def __init__(self, live: Live | None, quiet: bool) -> None:
        self._live = live
        self._text = LiveText()
        self._closed = quiet

    def show(self, event: Event) -> None:
        """Show an event."""
        complete = self._text.add(event)
        if self._closed:
            return
        if self._live:
            console = self._live.console
            if complete:
                console.print(Text(complete))
            self._live.update(self._text.shown(console.width, console.height))
        elif complete:
            try:
                write_to_stdout(f"{complete}\n")
            except RecordingFailed:
                self._closed = True  # its reader, such as head, has seen enough


@contextmanager
def printer(*, quiet: bool) -> Iterator[Printer]:
    """Prints to standard output. quiet: nothing."""
    console = Console()
    if quiet or not console.is_terminal:
        yield Printer(None, quiet)
        return
    with Live(Text(), console=console, transient=True) as live:
        yield Printer(live, quiet)
