"""The prompt before the transcript: hotwords and earlier text, within the model's context.

As in Whisper, at most half of the context goes to the prompt and the other half is left for the answer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CONTEXT = 448  # tokens that every released model reads and writes together
POSITIONS = "decoder/position_encodings/encodings"  # one row for each token of the context


@dataclass(frozen=True, slots=True)
class Prompt:
    """Tokens of a prompt that fits. cut: something was left out."""

    hotwords: tuple[int, ...] = ()
    text: tuple[int, ...] = ()
    cut: bool = False


def fit(hotwords: Sequence[int], text: Sequence[int], context: int, start: int) -> Prompt:
    """The hotwords from their start, and as much of the end of the text as there is room for beside them.

    context: tokens that the model reads and writes together. start: tokens between the prompt and the answer.
    """
    room = max(0, context // 2 - 1 - start)  # 1: the token that begins a prompt
    kept = tuple(hotwords[:room])
    rest = room - len(kept)
    end = tuple(text[-rest:]) if rest else ()
    return Prompt(kept, end, len(kept) < len(hotwords) or len(end) < len(text))


def context_of(folder: Path) -> int:
    """The context of a model in CTranslate2's format, in tokens; CONTEXT if its file does not tell."""
    try:
        with (folder / "model.bin").open("rb") as file:
            return _rows_of_positions(file) or CONTEXT
    except (OSError, struct.error, UnicodeDecodeError):
        return CONTEXT


def _rows_of_positions(file: BinaryIO) -> int:
    """Number of rows of the variable POSITIONS; 0 if there is none."""
    _read(file, "<I")  # version of the format
    _text(file)  # name of the specification
    _read(file, "<I")  # its revision
    for _ in range(_read(file, "<I")):
        name, rank = _text(file), _read(file, "<B")
        shape = [_read(file, "<I") for _ in range(rank)]
        _read(file, "<B")  # type of the values
        if name == POSITIONS and shape:
            return shape[0]
        file.seek(_read(file, "<I"), 1)
    return 0


def _text(file: BinaryIO) -> str:
    return file.read(_read(file, "<H")).rstrip(b"\0").decode()


def _read(file: BinaryIO, kind: str) -> int:
    (number,) = struct.unpack(kind, file.read(struct.calcsize(kind)))
    return int(number)
