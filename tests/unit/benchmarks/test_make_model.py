"""The benchmark checkpoint decodes to its script wherever a window starts."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel
from tokenizers import Tokenizer

from benchmarks.make_model import (
    SIZES,
    TEXT_POSITIONS,
    build_tokenizer,
    byte_letters,
    plan_positions,
    position_embeddings,
    released_vocabulary,
    special_tokens,
    split_piece,
    write_model,
)
from runners.decode.engine import Engine, WindowTask
from runners.decode.model import open_model
from runners.placement import DeviceLayout, Placement
from transcription.core.audio import SAMPLE_RATE
from transcription.core.options import DecodeOptions

needs_vocabulary = pytest.mark.skipif(find_spec("whisper") is None, reason="openai-whisper is in the extra bench")
ALPHABET = [bytes([byte]) for byte in range(256)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Bytes and one merge; only the special tokens matter here."""
    return build_tokenizer([*ALPHABET, b" t", b" th", b""], languages=99)


def test_there_are_as_many_special_tokens_as_in_the_released_vocabularies() -> None:
    assert 50257 + len(special_tokens(99)) == 51865
    assert 50257 + len(special_tokens(100)) == 51866  # large-v3


def test_every_byte_has_its_own_letter() -> None:
    letters = byte_letters()
    assert len(set(letters)) == 256
    assert letters[ord(" ")] == "Ġ"


def test_a_piece_is_split_at_its_last_merge() -> None:
    ranks = {piece: rank for rank, piece in enumerate([*ALPHABET, b"ab", b"abc"])}
    assert split_piece(b"abc", ranks) == (b"ab", b"c")


def test_a_piece_without_a_merge_has_no_split() -> None:
    ranks = {piece: rank for rank, piece in enumerate([*ALPHABET, b"abc"])}
    assert split_piece(b"abc", ranks) is None


def test_merges_are_applied(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(" thx", add_special_tokens=False).ids == [257, ord("x")]


def test_every_position_has_a_token(tokenizer: Tokenizer) -> None:
    assert len(plan_positions(tokenizer)) == TEXT_POSITIONS


@pytest.mark.parametrize("start", [2, 100, 226])
def test_a_window_has_timestamps_around_its_text_and_an_end(tokenizer: Tokenizer, start: int) -> None:
    plan = plan_positions(tokenizer)
    window = [str(tokenizer.id_to_token(tokens[0])) for tokens in plan[start : start + 98]]
    assert (window[0], window[-2], window[-1]) == ("<|0.00|>", "<|29.00|>", "<|endoftext|>")
    assert not any(token.startswith("<|") for token in window[1:-2])


def test_a_position_embedding_points_at_its_token() -> None:
    embeddings = np.random.default_rng(0).standard_normal((50, 64), dtype=np.float32)
    rows = position_embeddings([(7,), (3, 4)], embeddings)
    assert (rows @ embeddings.T).argmax(axis=1).tolist() == [7, 3]


@needs_vocabulary
def test_text_gets_the_released_ids() -> None:
    tokenizer = build_tokenizer(released_vocabulary(), languages=99)
    assert tokenizer.encode(" Hello world", add_special_tokens=False).ids == [2425, 1002]
    assert tokenizer.token_to_id("<|endoftext|>") == 50257


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model("tiny", tmp_path_factory.mktemp("models"))


@needs_vocabulary
def test_the_written_model_decodes_to_its_script_with_high_probability(tiny: Path) -> None:
    folder = tiny
    assert json.loads((folder / "preprocessor_config.json").read_text())["feature_size"] == SIZES["tiny"].mels
    whisper = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
    segments, info = whisper.transcribe(np.zeros(40 * 16000, np.float32), beam_size=1)
    first, second = segments
    assert info.language == "en"
    assert first.text == second.text
    assert first.text.startswith(" We met again on Thursday morning")
    assert (first.start, first.end, first.temperature) == (0.0, 29.0, 0.0)
    assert first.avg_logprob > -0.01


@needs_vocabulary
def test_a_text_does_not_depend_on_the_rest_of_its_batch_in_a_model_of_released_size(tiny: Path) -> None:
    engine = Engine(open_model("tiny", tiny, Placement("cpu", "int8"), DeviceLayout(slots=1, threads=1, batch=4)))
    random = np.random.default_rng(0)
    options = DecodeOptions(model="tiny", temperatures=(0.0,))
    tasks = [WindowTask(random.normal(0, 3000, seconds * SAMPLE_RATE).astype(np.int16), options) for seconds in (30, 7)]
    alone = [engine.decode([task])[0] for task in tasks]
    together = engine.decode(tasks)
    assert [result.segments[0].tokens for result in together] == [result.segments[0].tokens for result in alone]
