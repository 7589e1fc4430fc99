"""What a random decode leaves unread is decoded by itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from runners.decode.model import ModelHandle, open_model
from runners.decode.rules import Attempt, Cut
from runners.decode.segments import Segmenter, lasting
from runners.decode.tokenizers import Tokenizers
from runners.placement import DeviceLayout, Placement
from transcription.core.audio import FRAMES_PER_SECOND
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.transcript import Word

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


def test_a_cut_whose_words_have_no_duration_stays_as_decoded() -> None:
    cuts = [Cut(0.0, 2.0, (5,)), Cut(2.0, 4.0, (6,))]
    timed = [
        (Cut(0.4, 0.9, (5,)), (Word(" one", 0.4, 0.9, 1.0),)),
        (Cut(3.0, 3.0, (6,)), (Word(" two", 3.0, 3.0, 1.0),)),
    ]
    assert lasting(timed, cuts) == [timed[0], (cuts[1], ())]


def test_whether_words_can_be_timed_is_known_from_the_models_file(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(EMBEDDED_MODEL_DIR / "demo", folder)
    config = json.loads((folder / "config.json").read_text())
    del config["alignment_heads"]
    (folder / "config.json").write_text(json.dumps(config))
    layout, placement = DeviceLayout(slots=1, threads=1, batch=1), Placement("cpu", "int8")
    assert open_model("demo", EMBEDDED_MODEL_DIR / "demo", placement, layout).aligns
    assert not open_model("old", folder, placement, layout).aligns
