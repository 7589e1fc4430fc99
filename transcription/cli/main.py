"""`transcribe FILE...`, `transcribe watch FOLDER` and `transcribe live`: from the command line to an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from formats.registry import ResponseFormat
from transcription import __version__
from transcription.cli.checks import check_layout_of, check_model, check_settings_of_server, formats_of
from transcription.cli.inputs import LIVE, WATCH, Recording, find_recordings
from transcription.cli.names import NO_TARGETS, SameName, different, result_files
from transcription.cli.options import NOTES, Whisperlike, parameters_of, with_options
from transcription.cli.output import Output, write_to_stdout
from transcription.cli.remote import RemoteTranscriber
from transcription.cli.screen import Screen
from transcription.cli.session import Session, Work
from transcription.cli.transcriber import RecordingFailed, ServerUnavailable, Transcriber

SOME_FAILED, SERVER_UNAVAILABLE, INTERRUPTED = 1, 3, 130  # click itself exits with 2 on wrong usage
PROGRAM = "transcribe"
CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 120,
    "token_normalize_func": lambda name: name.replace("_", "-"),
}
EPILOG = """\b
Examples:
  transcribe talk.mp3                          talk.txt, next to it
  transcribe -f srt --max_line_width 42 *.mp4  subtitles
  transcribe -s localhost:3000 recordings/     a folder, on a server
  transcribe watch inbox -o texts              what is put into a folder
  transcribe live --microphone                 what is being said

\b
Exit codes: 0 success, 1 a recording failed, 2 wrong usage, 3 the server cannot be reached or has no capacity,
130 interrupted.

Names of options may be written with dashes or underscores; switches may have True or False behind them.
Shell completion: eval "$(transcribe --completion bash)", or zsh, fish.
"""


@click.command(cls=Whisperlike, epilog=EPILOG, context_settings=CONTEXT)
@click.argument("files", nargs=-1, type=click.Path(allow_dash=True), metavar="FILE...")
@with_options
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def main(files: tuple[str, ...], **choices: Any) -> None:
    """Transcribe recordings to text and subtitles.

    FILE is an audio or video file, a folder, a pattern such as '*.mp3', a URL, or - for standard input, whose result
    is printed. Results are written next to the recordings.

    `transcribe watch FOLDER` transcribes what is put into a folder, until it is interrupted.

    `transcribe live` transcribes raw PCM or WAV from standard input, or a microphone, while it is spoken.
    """
    write_errors_as_utf8()
    clean_up_when_ended()
    screen = Screen(quiet=choices["quiet"], verbose=choices["verbose"])
    title = files[0] if files else PROGRAM
    for note in click.get_current_context().meta[NOTES]:
        screen.tell(PROGRAM, note)
    try:
        sys.exit(run(files, choices, screen))
    except ServerUnavailable as error:
        screen.complain(title, error)
        sys.exit(SERVER_UNAVAILABLE)
    except KeyboardInterrupt:
        screen.complain(title, "interrupted; a recording that was not finished has no results")
        sys.exit(INTERRUPTED)


def run(files: Sequence[str], choices: Mapping[str, Any], screen: Screen) -> int:
    """The exit code. Raises ServerUnavailable and click.UsageError."""
    parameters = parameters_of(choices)
    if choices["server"]:
        check_settings_of_server(choices)
    if choices["list_models"]:
        with transcriber_for(choices, parameters) as transcriber:
            print_models(transcriber)
        return 0
    formats = formats_of(choices["formats"], parameters)
    if choices["live"] or (files[:1] == (LIVE,) and not Path(LIVE).is_file()):
        rest = files if choices["live"] else files[1:]
        return transcribe_live(rest, formats, choices, parameters, screen)
    check_layout_of(parameters, formats)
    if files[:1] == (WATCH,) and not Path(WATCH).is_file():
        return watch_folder(files[1:], formats, choices, parameters, screen)
    return transcribe_files(files, formats, choices, parameters, screen)


def transcribe_files(
    files: Sequence[str],
    formats: tuple[ResponseFormat, ...],
    choices: Mapping[str, Any],
    parameters: dict[str, str],
    screen: Screen,
) -> int:
    """The exit code; one file that fails does not end the others. Raises ServerUnavailable and click.UsageError."""
    if not files:
        raise click.UsageError("Missing argument 'FILE...'. transcribe --help lists what can be given.")
    found = find_recordings(files)
    if not found.recordings and not found.unreadable:
        raise click.UsageError("\n".join(f"{argument}: {reason}" for argument, reason in found.nothing.items()))
    work = work_for(found.recordings, formats, choices)
    without = {**found.nothing, **found.unreadable}
    for argument, reason in without.items():
        screen.complain(argument, reason)
    if not work:
        return SOME_FAILED
    with session_for(choices, parameters, screen) as session:
        # All are checked before the first is transcribed, which may take hours.
        good = those_without_failure(session.check, work, screen)
        done = those_without_failure(session.transcribe, good, screen)
    return SOME_FAILED if without or len(done) < len(work) else 0


def those_without_failure(step: Callable[[Work], None], work: Sequence[Work], screen: Screen) -> list[Work]:
    """The work whose step did not fail. The user is told of the other."""
    done = []
    for each in work:
        try:
            step(each)
        except RecordingFailed as error:
            screen.complain(each.recording.title, error)
        else:
            done.append(each)
    return done


def work_for(
    recordings: Sequence[Recording], formats: tuple[ResponseFormat, ...], choices: Mapping[str, Any]
) -> list[Work]:
    """The recordings and where their results go. Raises click.UsageError."""
    to_stdout = choices["stdout"] or any(each.is_nameless for each in recordings)
    if to_stdout and len(formats) > 1:
        raise click.UsageError("Standard output takes one --format.")
    by_path: dict[Path, Recording] = {}
    for each in recordings:
        if by_path.setdefault(each.path, each).url != each.url:
            raise click.UsageError(f"Two recordings are named {each.path}. Transcribe them one by one.")
    paths = different(list(by_path))
    try:
        targets = dict.fromkeys(paths, NO_TARGETS) if to_stdout else result_files(paths, choices["output_dir"], formats)
    except SameName as error:
        raise click.UsageError(str(error)) from None
    return [Work(by_path[path], formats, targets[path]) for path in paths]


def watch_folder(
    folders: Sequence[str],
    formats: tuple[ResponseFormat, ...],
    choices: Mapping[str, Any],
    parameters: dict[str, str],
    screen: Screen,
) -> int:
    """The exit code of `transcribe watch`. Raises ServerUnavailable and click.UsageError."""
    from transcription.cli.watch import FolderWatch

    if len(folders) != 1 or not Path(folders[0]).is_dir():
        raise click.UsageError("`transcribe watch` takes one folder that exists.")
    if not os.access(folders[0], os.R_OK | os.X_OK):
        raise click.UsageError(f"The folder {folders[0]} cannot be read.")
    if choices["stdout"]:
        raise click.UsageError("`transcribe watch` writes files. Leave out --stdout.")
    with session_for(choices, parameters, screen) as session:
        watch = FolderWatch(
            Path(folders[0]),
            choices["output_dir"],
            formats,
            session,
            screen,
            settle=choices["settle"],
            overwrite=choices["overwrite"],
        )
        return SOME_FAILED if watch.run(once=choices["once"]) else 0


def transcribe_live(
    files: Sequence[str],
    formats: tuple[ResponseFormat, ...],
    choices: Mapping[str, Any],
    parameters: dict[str, str],
    screen: Screen,
) -> int:
    """The exit code of `transcribe live`. Raises ServerUnavailable and click.UsageError."""
    from transcription.cli.live import check_live, listen

    check_live(files, parameters, choices, is_terminal=sys.stdin is None or sys.stdin.isatty())
    with transcriber_for(choices, parameters) as transcriber:
        check_model_of(transcriber, choices)
        try:
            listen(transcriber, formats, choices, parameters, screen)
        except RecordingFailed as error:
            screen.complain(LIVE, error)
            return SOME_FAILED
    return 0


def check_model_of(transcriber: Transcriber, choices: Mapping[str, Any]) -> None:
    """Refuse a model that there is not. Raises click.UsageError, ServerUnavailable."""
    if name := choices["model"]:
        where = "The server has" if choices["server"] else "There is"
        check_model(name, [each.name for each in transcriber.models()], where)


def print_models(transcriber: Transcriber) -> None:
    """Print the models as a table. Raises click.ClickException, ServerUnavailable."""
    lines = [
        f"{each.name:<18} {each.size:>8}  {each.accuracy:<42} {each.state}".rstrip() for each in transcriber.models()
    ]
    try:
        write_to_stdout("".join(f"{line}\n" for line in lines))
    except RecordingFailed as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def session_for(choices: Mapping[str, Any], parameters: Mapping[str, str], screen: Screen) -> Iterator[Session]:
    """A session with the transcriber that the options select. Raises ServerUnavailable and click.UsageError."""
    with transcriber_for(choices, parameters) as transcriber:
        check_model_of(transcriber, choices)
        yield Session(transcriber, Output(choices["overwrite"]), screen, parameters, most_copied)


@contextmanager
def transcriber_for(choices: Mapping[str, Any], parameters: Mapping[str, str]) -> Iterator[Transcriber]:
    """The transcriber on the server, or in this process if there is none.

    An interrupt does not wait for the model: `__main__` ends the process.
    """
    transcriber: Transcriber
    if choices["server"]:
        transcriber = RemoteTranscriber(choices["server"], choices["api_key"] or "", choices["timeout"])
    else:
        # Imported late: the model's libraries take a second to load and are not needed with a server.
        from transcription.cli.local import LocalTranscriber
        from transcription.core.settings import load_settings

        settings = load_settings()
        transcriber = LocalTranscriber(settings.model_copy(update=settings_of(choices, parameters)))
    interrupted = False
    try:
        yield transcriber
    except (KeyboardInterrupt, SystemExit):
        interrupted = True
        raise
    finally:
        transcriber.close(interrupted=interrupted)


def settings_of(choices: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """The settings that options replace."""
    threads = choices["threads"]
    given = {
        "whisper_model": parameters.get("model"),
        "whisper_device": choices["device"],
        "whisper_compute_type": choices["compute_type"],
        "whisper_model_dir": choices["model_dir"] and choices["model_dir"].expanduser().resolve(),
        # Windows of one recording are decoded side by side, each in one thread.
        "whisper_layout": f"{threads}x1x1" if threads else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def most_copied() -> int:
    """Bytes that may be copied from a pipe or a URL. Read only then: with a server, settings need not be valid."""
    from transcription.core.settings import load_settings

    return load_settings().max_file_size


def clean_up_when_ended() -> None:
    """Undo what has begun when the program is told to end, or its terminal is closed, as after Ctrl-C."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda number, _: sys.exit(128 + number))


def write_errors_as_utf8() -> None:
    """Write standard error in UTF-8, as the results: a locale without a letter must not stop the command."""
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
