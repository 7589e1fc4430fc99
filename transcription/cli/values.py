"""The values of --format, --language, --model and --device: their checks, and their completion in a shell."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from formats.registry import ResponseFormat
from runners.models.catalogue import CATALOGUE
from transcription.cli.suggestions import did_you_mean
from transcription.core import setting_rules
from transcription.core.errors import InvalidParameter
from transcription.core.languages import ALIASES, AUTO, LANGUAGES, language_tag

ALL = "all"
FORMAT_ALIASES = {"txt": ResponseFormat.TEXT.value}  # whisper's name of it
DEVICES = ("auto", "cpu", "cuda")


class FormatType(click.ParamType[str]):
    """A format, `all`, or whisper's name of one."""

    name = "format"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The format's name, or `all`. Raises click.BadParameter."""
        given = value.strip().lower().replace("-", "_")
        found = FORMAT_ALIASES.get(given, given)
        names = [each.value for each in ResponseFormat]
        known = (*names, *FORMAT_ALIASES, ALL)
        if found not in known:
            hint = f"{did_you_mean(given, known)} Known: {', '.join(known)}."
            self.fail(f"'{value[:40]}' is not a format.{hint}", param, ctx)
        return found

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The formats that begin with what was typed."""
        items = [CompletionItem(each.value, help=each.record.title) for each in ResponseFormat]
        items.append(CompletionItem(ALL, help="Every format"))
        return _beginning(items, incomplete.replace("-", "_"))


class LanguageType(click.ParamType[str]):
    """Anything that the parameter `language` of POST /transcribe accepts, converted to `language_tag`, or to `auto`."""

    name = "language"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The tag of a language. Raises click.BadParameter."""
        try:
            return language_tag(value) or AUTO
        except InvalidParameter:
            known = (*LANGUAGES.values(), *(each for each in ALIASES if len(each) > 2))
            self.fail(
                f"'{value[:40]}' is not a language that Whisper knows.{did_you_mean(value, known)} Give a code such as "
                "'en', an English name or a tag such as 'en-US'.",
                param,
                ctx,
            )

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The codes and the names that begin with what was typed."""
        codes = [CompletionItem(code, help=name) for code, name in LANGUAGES.items()]
        # A code is complete after two or three letters, and one letter would list a third of the names as well.
        names = [CompletionItem(name) for name in LANGUAGES.values()] if len(incomplete) > 1 else []
        return _beginning([*codes, *names], incomplete)


class ModelType(click.ParamType[str]):
    """The name of a model. Which ones there are depends on the server, see `checks.check_model`."""

    name = "model"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it was given."""
        return value.strip()

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The released models that begin with what was typed."""
        items = [CompletionItem(entry.name, help=f"{entry.size}, {entry.accuracy}") for entry in CATALOGUE.values()]
        return _beginning(items, incomplete)


class DeviceType(click.ParamType[str]):
    """A value of WHISPER_DEVICE."""

    name = "device"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The device. Raises click.BadParameter."""
        try:
            return setting_rules.device(value.strip().lower())
        except ValueError as error:
            self.fail(f"'{value[:40]}': {error}.", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The common devices that begin with what was typed."""
        return _beginning([CompletionItem(each) for each in DEVICES], incomplete)


def _beginning(items: Iterable[CompletionItem], incomplete: str) -> list[CompletionItem]:
    """The items that begin with what was typed, in upper or lower case."""
    return [item for item in items if str(item.value).lower().startswith(incomplete.lower())]
