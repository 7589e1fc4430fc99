"""`transcribe live`: from audio that arrives to text that is printed, and to results at its end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import click

from formats.registry import ResponseFormat
from transcription.cli.checks import check_values
from transcription.cli.inputs import LIVE
from transcription.cli.live_engine import LiveEngine, Problem
from transcription.cli.live_input import LiveInput, PcmReader
from transcription.cli.live_text import Printer, printer
from transcription.cli.microphone import Recorder, recording
from transcription.cli.names import NO_TARGETS, result_files
from transcription.cli.output import Output
from transcription.cli.screen import Screen
from transcription.cli.transcriber import Transcriber
from transcription.core.audio import SAMPLE_RATE
from transcription.core.settings import load_settings
from transcription.media.decode import find_ffmpeg
from transcription.system.signals import waking_the_loop

STDIN = 0
PARAMETERS = frozenset(
    {
        *("language", "model", "task", "beam_size", "initial_prompt", "hotwords", "hallucinations"),
        *("timestamp_granularity", "diarize", "max_speakers"),
    }
)


def check_live(
    files: Sequence[str], parameters: Mapping[str, str], choices: Mapping[str, Any], *, is_terminal: bool
) -> None:
    """Refuse what live audio does not have. is_terminal: whether standard input is one. Raises click.UsageError."""
    if list(files) not in ([], ["-"]):
        raise click.UsageError("`transcribe live` takes standard input, -, or --microphone. Give files without `live`.")
    if files and choices["microphone"]:
        raise click.UsageError("Give either - or --microphone.")
    if is_terminal and not choices["microphone"]:
        raise click.UsageError("Nothing to listen to. Pipe audio into `transcribe live`, or add --microphone.")
    if choices["stdout"]:
        raise click.UsageError("`transcribe live` prints the text as it comes. Leave out --stdout.")
    if unknown := sorted(parameters.keys() - PARAMETERS):
        raise click.UsageError(f"Live audio has no {', '.join(unknown)}. docs/LIVE.md lists its options.")
    check_values(parameters)
    if choices["output_dir"] is None and list(choices["formats"]) != ["text"]:
        raise click.UsageError("Say where the results go: --output-dir FOLDER, such as -o .")


def listen(
    transcriber: Transcriber,
    formats: Sequence[ResponseFormat],
    choices: Mapping[str, Any],
    parameters: Mapping[str, str],
    screen: Screen,
) -> None:
    """Transcribe until the audio ends or Ctrl-C ends it. Raises RecordingFailed and ServerUnavailable."""
    folder: Path | None = choices["output_dir"]
    targets = result_files([Path(LIVE)], folder, formats)[Path(LIVE)] if folder else NO_TARGETS
    output = Output(choices["overwrite"])
    output.check(targets)
    output.prepare(targets)
    microphone = choices["microphone"]
    recorder = recording(find_ffmpeg(load_settings()), sys.platform, microphone) if microphone else nullcontext(None)
    quiet = choices["quiet"] or not choices["verbose"]
    with recorder as source:
        results = asyncio.run(
            _listen(
                transcriber, parameters, tuple(targets), source, choices["sample_rate"] or SAMPLE_RATE, quiet, screen
            )
        )
    if targets:
        output.write(results, targets)
        screen.wrote(LIVE, targets)


async def _listen(
    transcriber: Transcriber,
    parameters: Mapping[str, str],
    formats: Sequence[ResponseFormat],
    recorder: Recorder | None,
    rate: int,
    quiet: bool,
    screen: Screen,
) -> Mapping[ResponseFormat, str]:
    """The results, if any are wanted."""
    source = LiveInput(recorder.descriptor if recorder else STDIN)
    with waking_the_loop(), interrupted_once(source.stop):
        async with transcriber.live(parameters) as engine:
            with printer(quiet=quiet) as shown:
                showing = asyncio.create_task(_show(engine, shown, screen))
                feeding = asyncio.create_task(_feed(engine, source, PcmReader(SAMPLE_RATE if recorder else rate)))
                try:
                    await asyncio.wait((showing, feeding), return_when=asyncio.FIRST_COMPLETED)
                    if feeding.done():
                        feeding.result()
                    await showing
                finally:
                    for task in (showing, feeding):
                        task.cancel()
                    await asyncio.gather(showing, feeding, return_exceptions=True)
            if recorder:
                recorder.check()
            return await engine.results(formats)


async def _feed(engine: LiveEngine, source: LiveInput, reader: PcmReader) -> None:
    async for block in source.blocks():
        if audio := reader.convert(block):
            await engine.feed(audio)
    await engine.finish()


async def _show(engine: LiveEngine, shown: Printer, screen: Screen) -> None:
    async for event in engine.events():
        shown.show(event)
        if isinstance(event, Problem):
            screen.complain(LIVE, event.message)


@contextmanager
def interrupted_once(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` in the event loop at the first Ctrl-C; the second interrupts as usual."""
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        loop.call_soon_threadsafe(stop)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
