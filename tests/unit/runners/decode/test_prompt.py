"""Hotwords and prompt fit into half of the model's context, hotwords first, and leave the answer its room."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.decode.prompt import CONTEXT, POSITIONS, context_of, fit
from transcription.core.default_folders import EMBEDDED_MODEL_DIR

TOKENS = st.lists(st.integers(0, 50_000), max_size=500)


@given(TOKENS, TOKENS, st.integers(4, 500), st.sampled_from([1, 3]))
def test_a_prompt_leaves_the_answer_half_of_the_context(
    hotwords: list[int], text: list[int], context: int, start: int
) -> None:
    prompt = fit(hotwords, text, context, start)
    used = len(prompt.hotwords) + len(prompt.text)

    assert used == 0 or 1 + used + start <= context // 2
    assert list(prompt.hotwords) == hotwords[: len(prompt.hotwords)]
    assert list(prompt.text) == text[len(text) - len(prompt.text) :]
    assert prompt.cut == (used < len(hotwords) + len(text))
    assert not prompt.text or len(prompt.hotwords) == len(hotwords)


def test_hotwords_come_first() -> None:
    prompt = fit(range(200), range(1000, 1100), CONTEXT, 3)
    assert (len(prompt.hotwords), prompt.text) == (200, tuple(range(1080, 1100)))


def test_hotwords_that_fill_the_room_leave_none_for_the_prompt() -> None:
    prompt = fit(range(220), range(1000, 1100), CONTEXT, 3)
    assert (len(prompt.hotwords), prompt.text, prompt.cut) == (220, (), True)


def test_the_context_of_the_embedded_model_is_read_from_its_file() -> None:
    assert context_of(EMBEDDED_MODEL_DIR / "demo") == 448


def variable(name: str, shape: tuple[int, ...]) -> bytes:
    encoded = name.encode() + b"\0"
    size = 4
    for length in shape:
        size *= length
    head = struct.pack("<H", len(encoded)) + encoded + struct.pack(f"<B{len(shape)}I", len(shape), *shape)
    return head + struct.pack("<BI", 0, size) + bytes(size)


def test_a_shorter_context_is_read_from_the_file(tmp_path: Path) -> None:
    variables = variable("decoder/embeddings/weight", (3, 2)) + variable(POSITIONS, (100, 2))
    (tmp_path / "model.bin").write_bytes(struct.pack("<IH", 6, 5) + b"Spec\0" + struct.pack("<II", 3, 2) + variables)
    assert context_of(tmp_path) == 100


@pytest.mark.parametrize("content", [b"", b"x", bytes(100), struct.pack("<IH", 6, 5) + b"Spec\0"])
def test_an_unreadable_file_means_the_usual_context(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    assert context_of(tmp_path) == CONTEXT


def test_without_a_file_the_context_is_the_usual_one(tmp_path: Path) -> None:
    assert context_of(tmp_path) == CONTEXT
