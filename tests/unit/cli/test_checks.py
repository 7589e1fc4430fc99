"""What the command refuses before it starts to work."""

from __future__ import annotations

import click
import pytest

from formats.registry import ResponseFormat
from transcription.cli.checks import check_layout_of, check_model, check_settings_of_server, formats_of
from transcription.cli.session import has_speech

JSON, TEXT, SRT, VTT, TSV = (ResponseFormat(each) for each in ("json", "text", "srt", "vtt", "tsv"))


def test_all_is_every_format_and_that_of_turns_only_with_speakers() -> None:
    without = formats_of(["all"], {})
    assert set(ResponseFormat) - set(without) == {ResponseFormat.RTTM}
    assert set(formats_of(["all"], {"diarize": "true"})) == set(ResponseFormat)
    assert set(formats_of(["all"], {"diarize": "True"})) == set(ResponseFormat)
    assert formats_of(["srt", "all"], {})[0] is SRT


def test_a_layout_needs_one_format_that_has_subtitles() -> None:
    check_layout_of({"max_line_width": "42"}, [TEXT, SRT])
    check_layout_of({}, [TEXT])
    with pytest.raises(click.UsageError, match="no effect on --format text"):
        check_layout_of({"max_line_width": "42"}, [TEXT, JSON])
    with pytest.raises(click.UsageError, match="needs srt or vtt"):
        check_layout_of({"highlight_words": "true"}, [TSV])


def test_an_unknown_model_is_refused_with_a_suggestion() -> None:
    check_model("base", ["tiny", "base"], "There is")
    with pytest.raises(click.UsageError, match=r"no model 'bass'\. Did you mean 'base'"):
        check_model("bass", ["tiny", "base"], "There is")


@pytest.mark.parametrize("option", ["device", "compute_type", "threads", "model_dir"])
def test_settings_of_the_process_with_the_model_are_refused_with_a_server(option: str) -> None:
    choices = dict.fromkeys(("device", "compute_type", "threads", "model_dir"))
    check_settings_of_server(choices)
    with pytest.raises(click.UsageError, match=r"is a setting of the server. Leave it out"):
        check_settings_of_server({**choices, option: 1})


@pytest.mark.parametrize(
    ("response_format", "empty", "full"),
    [
        (TEXT, "", "words\n"),
        (JSON, '{"text": ""}', '{"text": "words"}'),
        (VTT, "WEBVTT\n", "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nwords\n"),
        (TSV, "start\tend\ttext\n", "start\tend\ttext\n0\t1\twords\n"),
        (SRT, "", "1\n00:00:00,000 --> 00:00:01,000\nwords\n"),
    ],
)
def test_a_result_without_speech_is_recognised(response_format: ResponseFormat, empty: str, full: str) -> None:
    assert not has_speech(response_format, empty)
    assert has_speech(response_format, full)
