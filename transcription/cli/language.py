"""The value of --language."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from transcription.core.errors import InvalidParameter
from transcription.core.languages import AUTO, LANGUAGES, language_tag


class LanguageType(click.ParamType[str]):
    """Anything that the parameter `language` of POST /transcribe accepts, converted to `language_tag`, or to `auto`."""

    name = "language"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The tag of a language. Raises click.BadParameter."""
        try:
            return language_tag(value) or AUTO
        except InvalidParameter:
            self.fail(
                f"'{value[:40]}' is not a language that Whisper knows. Give a code such as 'en', an English name or a "
                "tag such as 'en-US'.",
                param,
                ctx,
            )

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The codes that begin with what was typed."""
        return [CompletionItem(code, help=name) for code, name in LANGUAGES.items() if code.startswith(incomplete)]
