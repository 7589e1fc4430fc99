"""Parameters of OpenAI's API, converted to a request."""

from __future__ import annotations

import pytest

from transcription.api.openai.parameters import parse
from transcription.core.languages import Script
from transcription.core.options import Task, TranscriptionRequest
from transcription.core.settings import Settings


def request_for(settings: Settings, *fields: tuple[str, str], task: Task = Task.TRANSCRIBE) -> TranscriptionRequest:
    return parse([("model", "whisper-1"), *fields], task, settings).request


@pytest.mark.parametrize("task", Task)
def test_a_tag_of_chinese_sets_the_script(settings: Settings, task: Task) -> None:
    request = request_for(settings, ("language", "zh-TW"), task=task)
    assert (request.decode.language, request.script) == ("zh", Script.TRADITIONAL)


@pytest.mark.parametrize(
    ("candidates", "language", "languages", "script"),
    [
        (("ja", "zh-Hant"), None, ("ja", "zh"), Script.TRADITIONAL),
        (("zh-CN",), "zh", (), Script.SIMPLIFIED),
        (("zh", "zh-Hant", "zh-Hans"), "zh", (), Script.TRADITIONAL),
        (("ja", "zh"), None, ("ja", "zh"), None),
    ],
)
def test_the_first_candidate_with_a_script_sets_it(
    settings: Settings,
    candidates: tuple[str, ...],
    language: str | None,
    languages: tuple[str, ...],
    script: Script | None,
) -> None:
    request = request_for(settings, *(("languages[]", each) for each in candidates))
    assert (request.decode.language, request.decode.languages, request.script) == (language, languages, script)
