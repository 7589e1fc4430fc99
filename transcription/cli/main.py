"""`transcribe FILE...`: the options, the progress bar and the exit code."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from formats.registry import ResponseFormat
from transcription.cli.language import LanguageType
from transcription.cli.output import Output
from transcription.cli.remote import RemoteTranscriber
from transcription.cli.transcriber import (
    RecordingFailed,
    RecordingRequest,
    ReportProgress,
    ServerUnavailable,
    Transcriber,
)
from transcription.core.options import Task

STDIN = "-"
FORMATS = [each.value for each in ResponseFormat]
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
    help="Language of the speech: a code, an English name or a tag such as en-US; detected by default.",
)
@click.option("-m", "--model", metavar="NAME", help="Model; by default that of the server, or WHISPER_MODEL.")
@click.option("--task", type=click.Choice([each.value for each in Task]), help="translate gives English text.")
@click.option("--words", is_flag=True, help="Include word times in json and verbose_json.")
@click.option("--prompt", help="Text that sets the style and the spelling of names.")
@click.option("--hotwords", help="Words to expect.")
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
    wanted = tuple(dict.fromkeys(ResponseFormat(each) for each in formats))
    to_stdout = stdout or Path(STDIN) in files
    if to_stdout and len(wanted) > 1:
        raise click.UsageError("Standard output takes one --format.")
    output = Output(output_dir, to_stdout, overwrite)
    parameters = parameters_of(choices)
    console = Console(stderr=True)
    failures = 0
    file = files[0]
    with ExitStack() as stack:
        try:
            transcriber = transcriber_for(server, api_key, timeout, parameters)
            stack.callback(transcriber.close)
            for file in files:
                try:
                    transcribe_file(file, wanted, parameters, output, transcriber, console, quiet=quiet)
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


def parameters_of(choices: dict[str, object]) -> dict[str, str]:
    """Parameters of POST /transcribe. Raises click.UsageError."""
    names = {
        "language": "language",
        "model": "model",
        "task": "task",
        "prompt": "initial_prompt",
        "hotwords": "hotwords",
    }
    parameters = {ours: str(choices[name]) for name, ours in names.items() if choices[name] is not None}
    if choices["words"]:
        parameters["timestamp_granularity"] = "word"
    if choices["no_vad"]:
        parameters["vad_filter"] = "false"
    others = choices["others"]
    assert isinstance(others, tuple)
    for other in others:
        name, equals, value = str(other).partition("=")
        if not equals or name in ("async", "response_format", "callback_url", "file", "url"):
            raise click.UsageError(f"--set takes NAME=VALUE with a parameter of POST /transcribe, not '{other}'.")
        parameters[name] = value
    return parameters


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
    file: Path,
    formats: tuple[ResponseFormat, ...],
    parameters: dict[str, str],
    output: Output,
    transcriber: Transcriber,
    console: Console,
    *,
    quiet: bool,
) -> None:
    """Transcribe one recording and write its results. Raises RecordingFailed and ServerUnavailable."""
    with open_recording(file) as path, progress_bar(file, console, quiet=quiet) as report:
        targets = output.targets(file, formats)
        name = "recording" if str(file) == STDIN else file.name
        warn = partial(print_error, file)
        results = transcriber.transcribe(RecordingRequest(path, name, formats, parameters, warn), report)
        output.write(results, targets)
    if targets and not quiet:
        click.echo(f"{file}: {', '.join(str(path) for path in targets.values())}", err=True)


@contextmanager
def open_recording(file: Path) -> Iterator[Path]:
    """The path of a readable file with the recording. Raises RecordingFailed."""
    if str(file) == STDIN:
        with tempfile.NamedTemporaryFile(prefix="transcribe-") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.flush()
            yield Path(copy.name)
        return
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise RecordingFailed(f"cannot be read: {error.strerror}") from None
    yield file


@contextmanager
def progress_bar(file: Path, console: Console, *, quiet: bool) -> Iterator[ReportProgress]:
    """A progress bar if standard error is a terminal, else nothing."""
    if quiet or not console.is_terminal:
        yield lambda step, share: None
        return
    columns = (TextColumn("{task.fields[name]}"), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("", total=None, name=file.name)

        def report(step: str, share: float | None) -> None:
            progress.update(task, description=step, total=None if share is None else 1.0, completed=share or 0.0)

        yield report


def print_error(file: Path, error: Exception | str) -> None:
    """Print an error or a warning on one line of standard error."""
    click.echo(f"{file}: {' '.join(str(error).split())}", err=True)
