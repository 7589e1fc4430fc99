"""What is wrong with the options, found before a recording is sent or a model is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

import click

from formats.registry import ResponseFormat, check_layout
from formats.subtitles.layout import SubtitleLayout
from transcription.cli.suggestions import did_you_mean
from transcription.cli.values import ALL
from transcription.core.errors import InvalidParameter

LAYOUT = frozenset(field.name for field in fields(SubtitleLayout))
TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off"})
# Parameters that are not text in the message that starts a live session.
NUMBERS = frozenset({"beam_size", "max_speakers"})
FLAGS = frozenset({"diarize"})
SETTINGS_OF_A_SERVER = ("device", "compute_type", "threads", "model_dir")


def formats_of(names: Iterable[str], parameters: Mapping[str, str]) -> tuple[ResponseFormat, ...]:
    """The formats, each once. `all` has turns of speakers only if they are told apart."""
    chosen: list[ResponseFormat] = []
    for name in names:
        speakers = parameters.get("diarize", "").lower() in TRUE or parameters.get("channel") == "split"
        every = [each for each in ResponseFormat if speakers or each is not ResponseFormat.RTTM]
        chosen += every if name == ALL else [ResponseFormat(name)]
    return tuple(dict.fromkeys(chosen))


def check_layout_of(parameters: Mapping[str, str], formats: Sequence[ResponseFormat]) -> None:
    """Refuse a layout of subtitles that none of the formats has. Raises click.UsageError.

    The server refuses it for a request in one format. A job may be read in any format, so it accepts it.
    """
    if not LAYOUT & parameters.keys():
        return
    lines = parameters.get("max_line_count", "")
    layout = SubtitleLayout(
        highlight_words=parameters.get("highlight_words", "").lower() in TRUE,
        max_line_count=int(lines) if lines.isdecimal() else None,
    )
    problems: list[str] = []
    for each in formats:
        try:
            check_layout(layout, each)
        except InvalidParameter as error:
            problems.append(error.message)
    if len(problems) == len(formats):
        raise click.UsageError(problems[0].replace("response_format=", "--format "))


def check_values(parameters: Mapping[str, str]) -> None:
    """Refuse values of live audio that are not of their parameter's type. Raises click.UsageError."""
    for name, value in parameters.items():
        if name in FLAGS and value.lower() not in TRUE | FALSE:
            raise click.UsageError(f"{name} takes true or false, not '{value[:40]}'.")
        if name in NUMBERS and not value.isdecimal():
            raise click.UsageError(f"{name} takes a positive whole number, not '{value[:40]}'.")


def check_model(name: str, known: Sequence[str], where: str) -> None:
    """Refuse a model that there is not. known: the names of those that there are. Raises click.UsageError."""
    if name not in known:
        raise click.UsageError(
            f"{where} no model '{name[:80]}'.{did_you_mean(name, known)} --list-models lists those there are."
        )


def check_settings_of_server(choices: Mapping[str, object]) -> None:
    """Refuse options that are settings of the process that has the model. Raises click.UsageError."""
    for name in SETTINGS_OF_A_SERVER:
        if choices[name] is not None:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} is a setting of the server. Leave it out, or leave out --server.")
