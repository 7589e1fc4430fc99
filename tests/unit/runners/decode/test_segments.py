"""What a random decode leaves unread is decoded by itself."""

from __future__ import annotations

import pytest

from runners.decode.model import ModelHandle, open_model
from runners.decode.rules import Attempt
from runners.decode.segments import Segmenter
from runners.decode.tokenizers import Tokenizers
from runners.placement import DeviceLayout, Placement
from transcription.core.audio import FRAMES_PER_SECOND
from transcription.core.settings import EMBEDDED_MODEL_DIR

SEEK = 500


@pytest.fixture(scope="module")
def model() -> ModelHandle:
    layout = DeviceLayout(slots=1, threads=1, batch=1)
    return open_model("demo", EMBEDDED_MODEL_DIR / "demo", Placement("cpu", "int8"), layout)


@pytest.mark.parametrize(
    ("temperature", "end_seconds", "expected_seconds"),
    [
        (0.2, 12.0, 12.0),
        (0.0, 12.0, 29.0),  # beam search is believed
        (0.2, 26.5, 29.0),  # only a pause is left
        (0.2, 2.0, 29.0),  # hardly anything was read: noise
    ],
)
def test_the_rest_of_a_sampled_decode_that_stops_early_comes_next(
    model: ModelHandle, temperature: float, end_seconds: float, expected_seconds: float
) -> None:
    tokenizers = Tokenizers(model)
    begin = tokenizers.timestamp_begin
    tokens = (begin, 5, 6, begin + round(end_seconds * 50))
    attempt = Attempt(tokens, -0.2, 1.2, 0.01, temperature)

    split = Segmenter(model.whisper, tokenizers).split(attempt, SEEK, 29 * FRAMES_PER_SECOND)

    assert split.next_seek == SEEK + round(expected_seconds * FRAMES_PER_SECOND)
