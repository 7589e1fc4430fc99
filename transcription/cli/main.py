"""`transcribe FILE...`: the options, the progress bar and the exit code."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from formats.registry import ResponseFormat
from transcription.cli.language import LanguageType
from transcription.cli.names import SameName, Targets, different, result_files
from transcription.cli.output import Output
from transcription.cli.recordings import as_text, is_nameless, name_of, open_recording
from transcription.cli.remote import RemoteTranscriber
from transcription.cli.transcriber import (
    RecordingFailed,
    RecordingRequest,
    ReportProgress,
    ServerUnavailable,
    Transcriber,
)
from transcription.core.options import Channel, Task
from transcription.core.speakers import MAX_SPEAKERS

FORMATS = [each.value for each in ResponseFormat]
NO_TARGETS: Targets = {}
SOME_FAILED, SERVER_UNAVAILABLE, INTERRUPTED = 1, 3, 130  # click itself exits with 2 on wrong usage
DEFAULT_TIMEOUT = 3600.0  # seconds
EPILOG = """\b
Exit codes: 0 success, 1 a recording failed, 2 wrong usage, 3 the server cannot be reached or has no capacity,
130 interrupted.

Shell completion: eval "$(_TRANSCRIBE_COMPLETE=bash_source transcribe)", or zsh_source, fish_source.
"""


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "-f",
    "--format",
    "formats",
    multiple=True,
    default=["text"],
    type=click.Choice(FORMATS),
    help="Format of the result. May be given several times.",
    show_default=True,
)
@click.option(
    "-d",
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write results here instead of next to the recording.",
)
@click.option("--stdout", is_flag=True, help="Print the result instead of writing a file.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option(
    "-s",
    "--server",
    envvar="TRANSCRIBE_SERVER",
    metavar="URL",
    help="Address of the server. Without it, the model runs on this machine.  [env: TRANSCRIBE_SERVER]",
)
@click.option(
    "--api-key",
    envvar="TRANSCRIBE_API_KEY",
    help="API key of the server. Better set TRANSCRIBE_API_KEY: command lines are visible to others.",
)
@click.option(
    "-l",
    "--language",
    type=LanguageType(),
    metavar="CODE",
    help="Language of the speech: a code, an English name or a tag such as en-US; detected by default. zh-Hans and "
    "zh-Hant also set the script.",
)
@click.option("-m", "--model", metavar="NAME", help="Model; by default that of the server, or WHISPER_MODEL.")
@click.option("--task", type=click.Choice([each.value for each in Task]), help="translate gives English text.")
@click.option("--words", is_flag=True, help="Include word times in json and verbose_json.")
@click.option("--prompt", help="Text that sets the style and the spelling of names.")
@click.option("--hotwords", help="Words to expect.")
@click.option("--audio-track", type=click.IntRange(min=1), help="Number of the audio track, from 1.")
@click.option("--channel", type=click.Choice([each.value for each in Channel]), help="Channel of a stereo recording.")
@click.option("--diarize", is_flag=True, help="Tell the speakers apart.")
@click.option(
    "--speakers",
    type=click.IntRange(min=1, max=MAX_SPEAKERS),
    metavar="N",
    help="Number of speakers, if known; implies --diarize.",
)
@click.option("--no-vad", is_flag=True, help="Turn off voice activity detection: transcribe all of the audio.")
@click.option(
    "--set",
    "others",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other parameter of POST /transcribe, such as max_line_width=42. May be given several times.",
)
@click.option(
    "--timeout",
    default=DEFAULT_TIMEOUT,
    show_default=True,
    type=click.FloatRange(min=1),
    help="Seconds that a server may take per recording.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
def main(
    files: tuple[Path, ...],
    formats: tuple[str, ...],
    output_dir: Path | None,
    stdout: bool,
    overwrite: bool,
    server: str | None,
    api_key: str | None,
    timeout: float,
    quiet: bool,
    **choices: object,
) -> None:
    """Transcribe recordings to text and subtitles.

    FILES are audio or video; - is standard input, whose result is printed. Results are written next to the recordings.
    """
    write_errors_as_utf8()
    wanted = tuple(dict.fromkeys(ResponseFormat(each) for each in formats))
    to_stdout = stdout or any(map(is_nameless, files))
    if to_stdout and len(wanted) > 1:
        raise click.UsageError("Standard output takes one --format.")
    recordings = different(files)
    targets = dict.fromkeys(recordings, NO_TARGETS) if to_stdout else targets_of(recordings, output_dir, wanted)
    output = Output(overwrite)
    parameters = parameters_of(choices)
    console = Console(stderr=True)
    failures = 0
    file = recordings[0]
    with ExitStack() as stack:
        try:
            transcriber = transcriber_for(server, api_key, timeout, parameters)
            stack.callback(transcriber.close)
            for file in recordings:
                try:
                    request = RecordingRequest(file, name_of(file), wanted, parameters, partial(print_error, file))
                    transcribe_file(request, targets[file], output, transcriber, console, quiet=quiet)
                except RecordingFailed as error:
                    failures += 1
                    print_error(file, error)
        except ServerUnavailable as error:
            print_error(file, error)
            sys.exit(SERVER_UNAVAILABLE)
        except KeyboardInterrupt:
            print_error(file, RecordingFailed("interrupted; nothing was written"))
            sys.exit(INTERRUPTED)
    sys.exit(SOME_FAILED if failures else 0)


def write_errors_as_utf8() -> None:
    """Write standard error in UTF-8, as the results: a locale without a letter must not stop the command."""
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")


def targets_of(
    recordings: Sequence[Path], folder: Path | None, formats: Sequence[ResponseFormat]
) -> dict[Path, Targets]:
    """The files of each recording's results. Raises click.UsageError."""
    try:
        return result_files(recordings, folder, formats)
    except SameName as error:
        raise click.UsageError(str(error)) from None


def parameters_of(choices: dict[str, object]) -> dict[str, str]:
    """Parameters of POST /transcribe. Raises click.UsageError."""
    names = {
        "language": "language",
        "model": "model",
        "task": "task",
        "prompt": "initial_prompt",
        "hotwords": "hotwords",
        "audio_track": "audio_track",
        "channel": "channel",
        "speakers": "num_speakers",
    }
    parameters = {ours: str(choices[name]) for name, ours in names.items() if choices[name] is not None}
    if choices["words"]:
        parameters["timestamp_granularity"] = "word"
    if choices["diarize"] or choices["speakers"]:
        parameters["diarize"] = "true"
    if choices["no_vad"]:
        parameters["vad_filter"] = "false"
    others = choices["others"]
    assert isinstance(others, tuple)
    for other in others:
        name, equals, value = str(other).partition("=")
        if not equals or name in ("async", "response_format", "callback_url", "file", "url"):
            raise click.UsageError(f"--set takes NAME=VALUE with a parameter of POST /transcribe, not '{other}'.")
        parameters[name] = value
    return {name: as_text(value) for name, value in parameters.items()}


def transcriber_for(server: str | None, api_key: str | None, timeout: float, parameters: dict[str, str]) -> Transcriber:
    """The transcriber on the server, or in this process if there is none."""
    if server:
        return RemoteTranscriber(server, api_key or "", timeout)
    # Imported late: the model's libraries take a second to load and are not needed with a server.
    from transcription.cli.local import LocalTranscriber
    from transcription.core.settings import load_settings

    settings = load_settings()
    return LocalTranscriber(
        settings.model_copy(update={"whisper_model": parameters.get("model", settings.whisper_model)})
    )


def transcribe_file(
    request: RecordingRequest,
    targets: Targets,
    output: Output,
    transcriber: Transcriber,
    console: Console,
    *,
    quiet: bool,
) -> None:
    """Transcribe one recording and write its results, or print them without targets.

    Raises RecordingFailed and ServerUnavailable.
    """
    file = request.path
    output.check(targets)
    with open_recording(file) as path, progress_bar(file, console, quiet=quiet) as report:
        output.write(transcriber.transcribe(replace(request, path=path), report), targets)
    if targets and not quiet:
        click.echo(f"{as_text(str(file))}: {', '.join(as_text(str(path)) for path in targets.values())}", err=True)


@contextmanager
def progress_bar(file: Path, console: Console, *, quiet: bool) -> Iterator[ReportProgress]:
    """A progress bar if standard error is a terminal, else nothing."""
    if quiet or not console.is_terminal:
        yield lambda step, share: None
        return
    columns = (TextColumn("{task.fields[name]}"), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("", total=None, name=as_text(file.name))

        def report(step: str, share: float | None) -> None:
            progress.update(task, description=step, total=None if share is None else 1.0, completed=share or 0.0)

        yield report


def print_error(file: Path, error: Exception | str) -> None:
    """Print an error or a warning on one line of standard error."""
    click.echo(f"{as_text(str(file))}: {' '.join(str(error).split())}", err=True)
