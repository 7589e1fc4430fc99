"""The values of --format, --language, --model and --device."""

import click
import pytest
from click.testing import CliRunner

from transcription.cli.values import DeviceType, FormatType, LanguageType, ModelType


@click.command()
@click.option("--language", type=LanguageType())
def command(language: str | None) -> None:
    click.echo(language)


@pytest.mark.parametrize(
    ("value", "code"), [("en", "en"), ("German", "de"), ("en-US", "en"), ("zh_tw", "zh-Hant"), ("auto", "auto")]
)
def test_codes_names_tags_and_auto_are_accepted(value, code):
    assert CliRunner().invoke(command, ["--language", value]).output == f"{code}\n"


def test_an_unknown_language_is_wrong_usage():
    result = CliRunner().invoke(command, ["--language", "klingon"])
    assert result.exit_code == 2
    assert "'klingon' is not a language" in result.output


def test_codes_are_completed():
    context = click.Context(command)
    assert [item.value for item in LanguageType().shell_complete(context, command.params[0], "e")] == [
        *("el", "en", "es", "et", "eu")
    ]


@pytest.mark.parametrize(
    ("wrong", "right"), [("englich", "English"), ("germn", "German"), ("Chinees", "Chinese"), ("flemmish", "flemish")]
)
def test_a_language_that_resembles_the_given_one_is_suggested(wrong, right):
    assert f"Did you mean '{right}'?" in CliRunner().invoke(command, ["--language", wrong]).output


def converted(kind: click.ParamType[str], value: str) -> str:
    return kind.convert(value, None, None)


@pytest.mark.parametrize(
    ("value", "name"), [("txt", "text"), ("SRT", "srt"), ("verbose-json", "verbose_json"), ("all", "all")]
)
def test_a_format_may_have_its_name_in_whisper(value, name):
    assert converted(FormatType(), value) == name


def test_an_unknown_format_is_refused_with_a_suggestion():
    with pytest.raises(click.BadParameter, match=r"Did you mean 'json'\? Known: json, text, srt, .*, txt, all"):
        converted(FormatType(), "jsn")


@pytest.mark.parametrize("device", ["auto", "cpu", "CUDA", "cuda:0,1", "cuda:all"])
def test_devices_are_those_of_the_setting(device):
    assert converted(DeviceType(), device) == device.lower()


def test_an_unknown_device_is_refused():
    with pytest.raises(click.BadParameter, match="must be auto, cpu, cuda"):
        converted(DeviceType(), "gpu")


def completions(kind: click.ParamType[str], incomplete: str) -> list[str]:
    return [item.value for item in kind.shell_complete(click.Context(command), command.params[0], incomplete)]


def test_formats_models_languages_and_devices_are_completed():
    assert completions(FormatType(), "v") == ["vtt", "verbose_json"]
    assert completions(FormatType(), "verbose-") == ["verbose_json"]
    assert completions(ModelType(), "large-v3") == ["large-v3", "large-v3-turbo"]
    assert completions(LanguageType(), "ger") == ["German"]
    assert completions(DeviceType(), "c") == ["cpu", "cuda"]
