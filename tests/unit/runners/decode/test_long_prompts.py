"""No prompt is too long for the model: it is cut, said to be, and the answer keeps its room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from runners.decode.engine import Engine, WindowTask
from runners.decode.model import ModelHandle, open_model
from runners.placement import DeviceLayout, Placement
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.options import DecodeOptions
from transcription.core.transcript import WindowResult

Recordings = dict[str, NDArray[np.int16]]
CERTAIN = DecodeOptions(model="demo", language="en", temperatures=(0.0,))
SENTENCE = "There's iron, they say, in all our blood; and a grain or two, perhaps, is good. "
LONG = (SENTENCE * 30)[:2000]


@pytest.fixture(scope="module")
def model() -> ModelHandle:
    layout = DeviceLayout(slots=1, threads=1, batch=4)
    return open_model("demo", EMBEDDED_MODEL_DIR / "demo", Placement("cpu", "int8"), layout)


def heard(model: ModelHandle, recordings: Recordings, **options: object) -> WindowResult:
    decode = replace(CERTAIN, **options)  # type: ignore[arg-type]
    [result] = Engine(model).decode([WindowTask(recordings["en-meeting.mp3"], decode)])
    return result


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("language", [None, "en"])
@pytest.mark.parametrize(
    ("prompt", "hotwords"), [(LONG, LONG), (LONG, None), (None, LONG), ("anna", LONG), (LONG, "a")]
)
def test_a_long_prompt_is_cut(
    model: ModelHandle,
    recordings: Recordings,
    prompt: str | None,
    hotwords: str | None,
    language: str | None,
    words: bool,
) -> None:
    result = heard(
        model, recordings, initial_prompt=prompt, hotwords=hotwords, language=language, word_timestamps=words
    )
    assert result.prompt_cut


@pytest.mark.parametrize("text", ["漢字" * 1000, "😀" * 2000, "a" * 2000, "1 2 3 " * 333, " " * 2000 + "x", "ệ" * 2000])
def test_any_text_is_a_prompt(model: ModelHandle, recordings: Recordings, text: str) -> None:
    assert heard(model, recordings, initial_prompt=text, hotwords=text).language == "en"


def test_a_short_prompt_is_whole(model: ModelHandle, recordings: Recordings) -> None:
    result = heard(model, recordings, initial_prompt="anna, peter", hotwords="the report")
    assert not result.prompt_cut
    assert "meeting" in result.segments[0].text


@pytest.mark.parametrize(
    "text", ["<|startoftranscript|>", "<|endoftext|>", "<|0.00|> hi <|2.00|>", "<|de|><|translate|>", "<|startofprev|>"]
)
def test_special_tokens_in_a_prompt_are_text_or_nothing(model: ModelHandle, recordings: Recordings, text: str) -> None:
    result = heard(model, recordings, initial_prompt=text, hotwords=text)
    assert "meeting" in result.segments[0].text


@pytest.mark.parametrize("context", [448, 224, 100])
def test_a_model_with_another_context_is_not_asked_for_more(
    model: ModelHandle, recordings: Recordings, context: int
) -> None:
    smaller = replace(model, context=context)
    result = heard(smaller, recordings, initial_prompt=LONG, hotwords=LONG, word_timestamps=True)
    assert result.prompt_cut


def test_windows_with_and_without_speech_share_a_batch_with_a_long_prompt(
    model: ModelHandle, recordings: Recordings
) -> None:
    options = replace(CERTAIN, initial_prompt=LONG, hotwords=SENTENCE)
    tasks = [WindowTask(samples, options) for samples in recordings.values()]
    assert len(Engine(model).decode(tasks[:4])) == 4
