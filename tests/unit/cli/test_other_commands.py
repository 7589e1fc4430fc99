"""Options that people type by habit, because other Whisper commands have them."""

from __future__ import annotations

import click
import pytest

from transcription.api.parameters.transcription import TranscriptionParameters
from transcription.cli.main import main
from transcription.cli.other_commands import OTHERS, PARAMETERS, adapted


def test_an_option_whose_effect_is_there_anyway_is_left_out_with_a_note() -> None:
    done = adapted(["a.mp3", "--fp16", "False", "--condition_on_previous_text=False", "--no_align", "-f", "srt"])
    assert done.arguments == ["a.mp3", "-f", "srt"]
    assert [note.partition(" is not needed. ")[0] for note in done.notes] == [
        "--fp16",
        "--condition_on_previous_text",
        "--no_align",
    ]


def test_an_option_with_its_default_asks_for_nothing() -> None:
    assert adapted(["--patience", "1.0", "--no_speech_threshold", "0.6"]).arguments == []


def test_options_without_a_counterpart_are_refused_together_with_what_to_do() -> None:
    with pytest.raises(click.UsageError) as refused:
        adapted(["a.mp3", "--condition_on_previous_text", "True", "--clip_timestamps", "0,30", "--patience", "2"])
    first, second, third = refused.value.message.splitlines()
    assert first.startswith("--condition_on_previous_text has no counterpart here. No part of a recording is decoded")
    assert second.endswith("ffmpeg -ss and -to.")
    assert third.startswith("--patience has no counterpart here.")


def test_the_same_under_another_name_is_a_parameter() -> None:
    assert adapted(["--vad_onset", "0.4", "--speaker-num=2"]).arguments == [
        *("--set", "vad_threshold=0.4"),
        *("--set", "num_speakers=2"),
    ]
    assert set(PARAMETERS.values()) <= TranscriptionParameters.model_fields.keys()


@pytest.mark.parametrize("name", ["--fp16", "--print_progress", "--carry_initial_prompt"])
def test_a_switch_takes_no_recording_for_its_value(name: str) -> None:
    assert adapted([name, "a.mp3", "b.mp3"]).arguments == ["a.mp3", "b.mp3"]
    assert adapted([name, "True", "b.mp3"]).arguments == ["b.mp3"]
    assert adapted(["a.mp3", name]).arguments == ["a.mp3"]


def test_a_switch_without_a_value_is_on() -> None:
    assert adapted(["--multilingual", "a.mp3"]).arguments == ["--set", "multilingual=true", "a.mp3"]
    with pytest.raises(click.UsageError, match="--condition_on_previous_text has no counterpart"):
        adapted(["--condition_on_previous_text", "a.mp3"])


def test_what_is_behind_two_dashes_is_a_file() -> None:
    assert adapted(["--", "--fp16"]).arguments == ["--", "--fp16"]


def test_no_option_of_ours_is_taken_for_another_commands() -> None:
    ours = {name for option in main.params for name in (*option.opts, *option.secondary_opts)}
    assert not ours & {*OTHERS, *PARAMETERS}
