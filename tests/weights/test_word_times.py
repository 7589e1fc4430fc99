"""Asking for the times of words does not change what is heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel

from runners.decode.engine import Engine, WindowTask
from runners.decode.model import open_model
from runners.models.catalogue import folder_of
from runners.placement import DeviceLayout, Placement
from tests.support.media_files import read_samples
from tests.support.speech import ACCOUNT, ALWAYS, SIGNS, joined
from tests.support.weights import settings_with
from transcription.core.audio import SAMPLE_RATE
from transcription.core.options import DecodeOptions, EncoderContext
from transcription.core.settings import load_settings
from transcription.core.transcript import Segment

pytestmark = pytest.mark.weights

# Higher temperatures draw at random. Full: as faster-whisper, with which it is compared.
OPTIONS = DecodeOptions(model="base", language="en", temperatures=(0.0,), encoder_context=EncoderContext.FULL)


@pytest.fixture(scope="module")
def engine() -> Engine:
    folder = folder_of("base", settings_with("base"))
    return Engine(open_model("base", folder, Placement("cpu", "int8"), DeviceLayout(slots=1, threads=2, batch=1)))


def test_a_window_of_two_passes_has_the_same_text_with_and_without_word_times(engine: Engine, tmp_path: Path) -> None:
    whole = read_samples(joined(tmp_path / "window.wav", ACCOUNT, SIGNS, ALWAYS, ACCOUNT, pause=0.5))
    pcm = whole[: 17 * SAMPLE_RATE]  # ends inside a sentence, which is decoded once more

    plain, timed = (heard(engine, pcm, words=words) for words in (False, True))

    assert len({segment.seek for segment in plain}) == 2
    assert [(segment.seek, segment.tokens) for segment in timed] == [(each.seek, each.tokens) for each in plain]
    assert all("".join(word.text for word in segment.words) == segment.text for segment in timed)
    assert [each.tokens for each in plain] == faster_whisper_tokens(pcm)


def heard(engine: Engine, pcm: np.ndarray, *, words: bool) -> tuple[Segment, ...]:
    [result] = engine.decode([WindowTask(pcm, replace(OPTIONS, word_timestamps=words))])
    return result.segments


def faster_whisper_tokens(pcm: np.ndarray) -> list[tuple[int, ...]]:
    model = WhisperModel(str(folder_of("base", load_settings())), device="cpu", compute_type="int8", cpu_threads=2)
    samples = pcm.astype(np.float32) / 32768
    segments, _ = model.transcribe(samples, language="en", temperature=0.0, condition_on_previous_text=False)
    return [tuple(segment.tokens) for segment in segments]
