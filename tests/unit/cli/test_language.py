"""The option --language."""

import click
import pytest
from click.testing import CliRunner

from transcription.cli.language import LanguageType


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
