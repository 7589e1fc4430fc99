"""The options by whisper's names, and the parameters that they stand for."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from transcription.cli.main import CONTEXT
from transcription.cli.options import Whisperlike, parameters_of, with_options


@click.command(cls=Whisperlike, context_settings=CONTEXT)
@click.argument("files", nargs=-1)
@with_options
def command(files, **choices):
    click.echo(json.dumps({"files": files, **parameters_of(choices)}))


def parsed(*arguments: str) -> dict[str, object]:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    return done.stderr


def test_nothing_is_sent_that_was_not_given() -> None:
    assert parsed("a.mp3") == {"files": ["a.mp3"]}


def test_a_command_line_of_whisper_means_the_same_here() -> None:
    line = (
        "a.mp3 --model small --language English --task translate --beam_size 3 --best_of 2 --temperature 0.2 "
        "--initial_prompt Names. --word_timestamps True --max_line_width 42 --max_line_count 2 --highlight_words True "
        "--output_format srt --verbose False --vad_filter False --threads 2 --device cpu --compute_type int8"
    )
    assert parsed(*line.split()) == {
        "files": ["a.mp3"],
        "model": "small",
        "language": "en",
        "task": "translate",
        "beam_size": "3",
        "best_of": "2",
        "temperature": "0.2",
        "initial_prompt": "Names.",
        "timestamp_granularity": "word",
        "max_line_width": "42",
        "max_line_count": "2",
        "highlight_words": "true",
        "vad_filter": "false",
    }


NAMES = sorted(
    name for option in command.params for name in (*option.opts, *option.secondary_opts) if name.startswith("--")
)
SWITCHES = ("word-timestamps", "highlight-words", "vad-filter", "diarize")


@pytest.mark.parametrize("name", [name for name in NAMES if "-" in name[2:]])
def test_every_name_may_have_underscores(name: str) -> None:
    underscored = f"--{name[2:].replace('-', '_')}"
    assert "No such option" not in CliRunner().invoke(command, [underscored]).output


@given(
    switch=st.sampled_from(SWITCHES),
    underscores=st.booleans(),
    value=st.sampled_from(["True", "False", "true", "FALSE", None]),
    equals=st.booleans(),
)
def test_switches_take_true_or_false_or_nothing(
    switch: str, underscores: bool, value: str | None, equals: bool
) -> None:
    name = f"--{switch.replace('-', '_') if underscores else switch}"
    given = [name] if value is None else [f"{name}={value}"] if equals else [name, value]
    on = value is None or value.lower() == "true"
    assert parsed(*given, "a.mp3") == parsed(f"--{switch}" if on else f"--no-{switch}", "a.mp3")


def test_a_switch_takes_no_file_for_its_value() -> None:
    assert parsed("--diarize", "a.mp3")["files"] == ["a.mp3"]
    assert "takes True or False, not 'maybe'" in refused("--diarize=maybe")
    assert parsed("--", "--diarize", "True") == {"files": ["--diarize", "True"]}


def test_the_number_of_speakers_implies_telling_them_apart() -> None:
    assert parsed("a.mp3", "--speakers", "2") == {"files": ["a.mp3"], "diarize": "true", "num_speakers": "2"}


def test_highlighting_that_is_turned_off_is_no_layout() -> None:
    assert parsed("--highlight_words", "False") == {"files": []}


def test_a_command_line_of_another_command_means_the_same_here() -> None:
    whisperx = "--model small --diarize --min_speakers 2 --max_speakers=4 --hf_token abc --batch_size 8 --no_align"
    assert parsed("a.mp3", *whisperx.split()) == {
        "files": ["a.mp3"],
        "model": "small",
        "diarize": "true",
        "min_speakers": "2",
        "max_speakers": "4",
    }


def test_limits_on_the_number_of_speakers_imply_telling_them_apart() -> None:
    assert parsed("a.mp3", "--set", "max_speakers=3")["diarize"] == "true"


def test_a_mistyped_option_is_refused_with_a_suggestion() -> None:
    assert "Did you mean '--beam-size'?" in refused("--beam_sise", "2")


def test_the_completion_of_each_shell_is_printed() -> None:
    for shell in ("bash", "zsh", "fish"):
        done = CliRunner().invoke(command, ["--completion", shell], prog_name="transcribe")
        assert "_TRANSCRIBE_COMPLETE=" in done.stdout


def test_the_help_is_in_groups() -> None:
    lines = [line.strip() for line in CliRunner().invoke(command, ["--help"]).stdout.splitlines()]
    groups = ["Results:", "Model:", "Speech:", "Subtitles and words:", "Server:", "transcribe watch FOLDER:"]
    assert [line for line in lines if line in groups] == groups
