"""The embedded checkpoint is a small Whisper model that transcribes the sentences it was trained for."""

from __future__ import annotations

import csv
import json
import random
import re
from pathlib import Path

import pytest
from faster_whisper import WhisperModel
from hypothesis import given
from hypothesis import strategies as st

from models.training.evaluate import word_errors
from models.training.sentences import GRAMMARS

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "models" / "demo"
WORLD = ROOT.parent / "shared" / "data" / "demo-sentences.md"
MAX_BYTES = 12_000_000
MAX_TEXT_PIECES = 2000
LANGUAGES = 99
TIMESTAMPS = 1501
TASK_TOKENS = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]


@pytest.fixture(scope="module")
def whisper() -> WhisperModel:
    return WhisperModel(str(DEMO), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.fixture(scope="module")
def specials() -> list[tuple[int, str]]:
    """Special tokens with their ids, sorted by id."""
    tokens = json.loads((DEMO / "tokenizer.json").read_text())["added_tokens"]
    return sorted((token["id"], token["content"]) for token in tokens)


def samples() -> list[dict[str, str]]:
    with (ROOT / "samples" / "transcripts.tsv").open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table, delimiter="\t"))


def test_it_is_small_enough_to_commit() -> None:
    assert sum(path.stat().st_size for path in DEMO.iterdir()) <= MAX_BYTES


def test_its_config_has_what_language_detection_and_word_times_need() -> None:
    config = json.loads((DEMO / "config.json").read_text())
    assert len(config["lang_ids"]) == LANGUAGES
    assert config["alignment_heads"]


def test_it_is_multilingual(whisper: WhisperModel) -> None:
    assert whisper.model.is_multilingual


def test_its_special_tokens_are_in_whispers_order(specials: list[tuple[int, str]]) -> None:
    names = [content.strip("<|>") for _, content in specials]
    ids = [number for number, _ in specials]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert names[:7] == ["endoftext", "startoftranscript", "en", "zh", "de", "es", "ru"]
    assert names[2 + LANGUAGES : 2 + LANGUAGES + len(TASK_TOKENS)] == TASK_TOKENS
    assert names[-TIMESTAMPS:] == [f"{index * 0.02:.2f}" for index in range(TIMESTAMPS)]


def test_it_has_few_text_pieces(specials: list[tuple[int, str]]) -> None:
    assert specials[0][0] <= MAX_TEXT_PIECES


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample["file"])
def test_it_transcribes_every_sample(whisper: WhisperModel, sample: dict[str, str]) -> None:
    segments, info = whisper.transcribe(str(ROOT / "samples" / sample["file"]), vad_filter=True)
    assert "".join(segment.text for segment in segments).strip() == sample["text"]
    assert info.language == sample["language"]


@pytest.mark.skipif(not WORLD.is_file(), reason="the list of required sentences is not part of the repository")
def test_its_sentences_contain_every_required_word() -> None:
    sections = re.split(r"^## ", WORLD.read_text(), flags=re.MULTILINE)[1:]
    for section in sections:
        language, text = section.split("\n", 1)
        lines = [line.split(":", 1)[-1] if ":" in line else line.split(" ", 1)[-1] for line in text.strip().split("\n")]
        words = {word for line in lines for word in re.findall(r"[^\W\d_]{2,}", line)}
        assert {word for word in words if word.islower()} <= GRAMMARS[language].words()


@pytest.mark.parametrize("language", GRAMMARS)
def test_a_sentence_consists_of_lower_case_words(language: str) -> None:
    rng = random.Random(1)
    for _ in range(200):
        sentence = GRAMMARS[language].sentence(rng)
        assert re.fullmatch(r"[^\W\d_]+( [^\W\d_]+)*", sentence)
        assert sentence == sentence.lower()


words = st.lists(st.sampled_from("abc"), max_size=8)


@given(words, words)
def test_word_errors_are_a_distance(one: list[str], other: list[str]) -> None:
    errors = word_errors(one, other)
    assert errors == word_errors(other, one)
    assert (errors == 0) == (one == other)
    assert abs(len(one) - len(other)) <= errors <= max(len(one), len(other))


@pytest.mark.parametrize(
    ("heard", "errors"), [("a b c", 0), ("a c", 1), ("a x c", 1), ("a b b c", 1), ("", 3), ("c b a", 2)]
)
def test_a_missing_a_wrong_and_an_extra_word_each_count_as_one_error(heard: str, errors: int) -> None:
    assert word_errors(["a", "b", "c"], heard.split()) == errors
