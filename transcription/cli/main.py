"""`transcribe FILE...`: options, what is shown meanwhile, and the exit code."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from formats.registry import ResponseFormat
from transcription.cli.order import Failed, Order, Transcriber, Unreachable
from transcription.cli.order import Progress as Report
from transcription.cli.output import Output
from transcription.cli.remote import Server
from transcription.core.languages import LANGUAGES
from transcription.core.options import Task

STDIN = "-"
FORMATS = [each.value for each in ResponseFormat]
SOME_FAILED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130
DEFAULT_TIMEOUT = 3600.0  # seconds
EPILOG = """\b
Exit codes: 0 all done, 1 some recording failed, 2 wrong usage, 3 the server cannot be reached or has no room,
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
    help="Repeatable.",
    show_default=True,
)
@click.option(
    "-d", "--output-dir", type=click.Path(file_okay=False, path_type=Path), help="In place of the recording's folder."
)
@click.option("--stdout", is_flag=True, help="Print the result and write no file.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option(
    "-s",
    "--server",
    envvar="TRANSCRIBE_SERVER",
    metavar="URL",
    help="Who does the work; this machine itself without it.  [env: TRANSCRIBE_SERVER]",
)
@click.option("--api-key", envvar="TRANSCRIBE_API_KEY", help="Better in the environment: TRANSCRIBE_API_KEY.")
@click.option(
    "-l", "--language", type=click.Choice(sorted(LANGUAGES)), metavar="CODE", help="Of the speech; detected without it."
)
@click.option("-m", "--model", metavar="NAME", help="The server's default, or WHISPER_MODEL, without it.")
@click.option("--task", type=click.Choice([each.value for each in Task]), help="translate gives English text.")
@click.option("--words", is_flag=True, help="Times of words in json and verbose_json.")
@click.option("--prompt", help="Text that sets the style and the spelling of names.")
@click.option("--hotwords", help="Words to expect.")
@click.option("--no-vad", is_flag=True, help="Transcribe what seems to be no speech, too.")
@click.option(
    "--set",
    "others",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other parameter of POST /transcribe, such as max_line_width=42.",
)
@click.option(
    "--timeout",
    default=DEFAULT_TIMEOUT,
    show_default=True,
    type=click.FloatRange(min=1),
    help="Seconds that a server may take for a recording.",
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
    """Turn recordings into text and subtitles.

    FILES are audio or video; - is standard input, whose result is printed. Results are written beside the recordings.
    """
    wanted = tuple(dict.fromkeys(ResponseFormat(each) for each in formats))
    to_stdout = stdout or Path(STDIN) in files
    if to_stdout and len(wanted) > 1:
        raise click.UsageError("Standard output takes one --format.")
    output = Output(output_dir, to_stdout, overwrite)
    parameters = parameters_of(choices)
    transcriber = choose(server, api_key, timeout, parameters)
    console = Console(stderr=True)
    failures = 0
    try:
        for file in files:
            try:
                one(file, wanted, parameters, output, transcriber, console, quiet=quiet)
            except Failed as error:
                failures += 1
                complain(file, error)
    except Unreachable as error:
        complain(file, error)
        sys.exit(UNREACHABLE)
    except KeyboardInterrupt:
        complain(file, Failed("interrupted; nothing of it is left"))
        sys.exit(INTERRUPTED)
    finally:
        transcriber.close()
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


def choose(server: str | None, api_key: str | None, timeout: float, parameters: dict[str, str]) -> Transcriber:
    """Who does the work."""
    if server:
        return Server(server, api_key or "", timeout)
    from transcription.cli.local import Here  # the model's libraries take a second to load, and a server needs none
    from transcription.core.settings import load_settings

    settings = load_settings()
    return Here(settings.model_copy(update={"whisper_model": parameters.get("model", settings.whisper_model)}))


def one(
    file: Path,
    formats: tuple[ResponseFormat, ...],
    parameters: dict[str, str],
    output: Output,
    transcriber: Transcriber,
    console: Console,
    *,
    quiet: bool,
) -> None:
    """One recording from the file to its results. Raises Failed, Unreachable."""
    with readable(file) as path, shown(file, console, quiet=quiet) as report:
        targets = output.targets(file, formats)
        name = "recording" if str(file) == STDIN else file.name
        results = transcriber.transcribe(Order(path, name, formats, parameters), report)
        output.write(results, targets)
    if targets and not quiet:
        click.echo(f"{file}: {', '.join(str(path) for path in targets.values())}", err=True)


@contextmanager
def readable(file: Path) -> Iterator[Path]:
    """The recording as a file on this disk. Raises Failed."""
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
        raise Failed(f"cannot be read: {error.strerror}") from None
    yield file


@contextmanager
def shown(file: Path, console: Console, *, quiet: bool) -> Iterator[Report]:
    """A bar on a terminal, nothing elsewhere."""
    if quiet or not console.is_terminal:
        yield lambda step, share: None
        return
    columns = (TextColumn("{task.fields[name]}"), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("", total=None, name=file.name)

        def report(step: str, share: float | None) -> None:
            progress.update(task, description=step, total=None if share is None else 1.0, completed=share or 0.0)

        yield report


def complain(file: Path, error: Exception) -> None:
    """One line on standard error."""
    click.echo(f"{file}: {' '.join(str(error).split())}", err=True)
