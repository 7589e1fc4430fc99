"""Write a Whisper checkpoint with the cost of a released one and a fixed transcript, without any download.

The shapes, the vocabulary and the tied weights are those of the released size. Encoder and decoder weights are small
and random. The decoder's position embeddings are large, and each points at the embedding of the token to come next:
language, timestamps, text, end of text. Decoding is therefore confident, triggers no fallback, and runs as many steps
as a 30 s window of dense speech.

Run it with `python -m benchmarks.make_model --size base --output models-cache`.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_whisper.tokenizer import _LANGUAGE_CODES
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

if TYPE_CHECKING:
    from ctranslate2.specs import WhisperSpec

Floats = NDArray[np.float32]

AUDIO_POSITIONS = 1500  # encoder frames of 20 ms: 30 s
TEXT_POSITIONS = 448
LANGUAGE = "en"
TEXT_TOKENS = 95  # 30 s of fast speech
END_SECONDS = 29.0
TASK_TOKENS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
TIMESTAMPS = 1501  # 0.00 to 30.00
TIMESTAMP_STEP = 0.02  # seconds

POSITION_SCALE = 24.0  # size of a position embedding; the layers add about 1
SECOND_CHOICE = 0.5  # share of the second token if two windows of a conditioned decode use the same position
LOGIT = 25.0  # of the scripted token; the others are noise around 0, so its probability is about 0.9999
WEIGHT_SCALE = 0.5  # size of a layer's output for an input of size 1
EMBEDDING_SCALE = 0.05

SCRIPT = (
    "We met again on Thursday morning to look at the plans for the new library. The architect showed three drawings "
    "and explained how light would fall through the western windows in winter. Somebody asked what heating costs, "
    "another wanted to know where children could read aloud without disturbing anyone. After lunch we walked across "
    "the empty field, counted old trees, and agreed that most of them should stay. Before leaving, the mayor promised "
    "an answer within two weeks, while her assistant wrote down every question that nobody had been able to settle yet."
)


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of a released size. layers: of the encoder and of the decoder. mels: bands of the spectrogram."""

    width: int
    heads: int
    layers: int
    mels: int = 80
    languages: int = 99


SIZES = {
    "tiny": Size(384, 6, 4),
    "base": Size(512, 8, 6),
    "small": Size(768, 12, 12),
    "medium": Size(1024, 16, 24),
    "large-v3": Size(1280, 20, 32, mels=128, languages=100),
}


def special_tokens(languages: int) -> list[str]:
    """All tokens after the text pieces, in Whisper's order."""
    names = ["endoftext", "startoftranscript", *_LANGUAGE_CODES[:languages], *TASK_TOKENS]
    times = [f"{index * TIMESTAMP_STEP:.2f}" for index in range(TIMESTAMPS)]
    return [f"<|{name}|>" for name in (*names, *times)]


def released_vocabulary() -> list[bytes]:
    """The text pieces in order of rank, from the data of the package openai-whisper, which is not imported.

    Raises FileNotFoundError if it is not installed.
    """
    package = find_spec("whisper")
    file = Path((package.submodule_search_locations or [""])[0]) if package else Path()
    file = file / "assets" / "multilingual.tiktoken"
    if not file.is_file():
        raise FileNotFoundError(
            "The vocabulary comes from the package openai-whisper: pip install '.[bench]', or without torch "
            "pip install --no-deps openai-whisper."
        )
    lines = (line.split() for line in file.read_bytes().splitlines() if line)
    ranked = sorted((int(fields[-1]), base64.b64decode(fields[0])) for fields in lines)
    return [piece for _, piece in ranked]


def split_piece(piece: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes] | None:
    """The two pieces that were merged into `piece`, or None if it is not the result of a merge."""
    limit = ranks[piece]
    parts = [piece[index : index + 1] for index in range(len(piece))]
    while len(parts) > 2:
        pairs = [(ranks.get(parts[index] + parts[index + 1], limit), index) for index in range(len(parts) - 1)]
        rank, best = min(pairs)
        if rank >= limit:
            return None
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 else None


def byte_letters() -> list[str]:
    """The printable character for each byte in a byte-level vocabulary: GPT-2's table."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def build_tokenizer(pieces: Sequence[bytes], languages: int) -> Tokenizer:
    """A byte-level BPE tokenizer with the released ids."""
    ranks = {piece: rank for rank, piece in enumerate(pieces)}
    letters = byte_letters()

    def spell(piece: bytes) -> str:
        return "".join(letters[byte] for byte in piece)

    splits = (split_piece(piece, ranks) for piece in pieces if len(piece) > 1)
    merges = [(spell(left), spell(right)) for left, right in filter(None, splits)]
    tokenizer = Tokenizer(models.BPE({spell(piece): rank for piece, rank in ranks.items()}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = [
        {
            "id": len(pieces) + index,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, content in enumerate(special_tokens(languages))
    ]
    return Tokenizer.from_str(json.dumps(document))


def plan_positions(tokenizer: Tokenizer) -> list[tuple[int, ...]]:
    """The token that each decoder position predicts, and a second choice where the first may be forbidden.

    Decoding starts at position 2, after start of transcript, language and task. faster-whisper prepends the previous
    text, at most 223 tokens, so that its second window starts at 100, its third at 197 and all later ones at 226.
    The positions of the fourth window begin before the whole script fits into the third, which is cut short.
    """

    def token(content: str) -> int:
        number = tokenizer.token_to_id(content)
        assert number is not None, f"no token {content}"
        return int(number)

    end = token("<|endoftext|>")
    text = tokenizer.encode(f" {SCRIPT}", add_special_tokens=False).ids[:TEXT_TOKENS]
    opening, closing = token("<|0.00|>"), token(f"<|{END_SECONDS:.2f}|>")
    window = [opening, *text, closing, end]
    prompted = [opening, *text[: 226 - 197 - 2], closing]
    positions: list[tuple[int, ...]] = [(token(f"<|{LANGUAGE}|>"),), (token("<|transcribe|>"),)]
    positions += [(item,) for item in (*window, *window, *prompted[1:], *window)]
    # The first token must be a timestamp, and none may follow the closing one: one of the two is always allowed.
    positions[197] = (end, opening)
    positions[226] = (opening, end)
    return positions + [(end,)] * (TEXT_POSITIONS - len(positions))


class WeightMaker:
    """Random weights with a fixed seed. Arrays are float16, as in the released checkpoints."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)

    def normal(self, *shape: int, scale: float) -> NDArray[np.float16]:
        values = self._random.standard_normal(shape, dtype=np.float32)
        values *= np.float32(scale)
        return values.astype(np.float16)

    def linear(self, layer: Any, outputs: int, inputs: int) -> None:
        layer.weight = self.normal(outputs, inputs, scale=WEIGHT_SCALE / inputs**0.5)
        # Not zeros: equal arrays are stored once, and to find them every pair is compared.
        layer.bias = self.normal(outputs, scale=0.01)

    def norm(self, layer: Any, width: int, gamma: float = 1.0) -> None:
        layer.gamma = np.full(width, gamma, np.float32)
        layer.beta = self.normal(width, scale=1e-3).astype(np.float32)

    def block(self, layer: Any, width: int) -> None:
        """Self-attention and the feed-forward network, which encoder and decoder have in common."""
        self.norm(layer.self_attention.layer_norm, width)
        self.linear(layer.self_attention.linear[0], 3 * width, width)
        self.linear(layer.self_attention.linear[1], width, width)
        self.norm(layer.ffn.layer_norm, width)
        self.linear(layer.ffn.linear_0, 4 * width, width)
        self.linear(layer.ffn.linear_1, width, 4 * width)

    def cross_attention(self, layer: Any, width: int) -> None:
        self.norm(layer.layer_norm, width)
        for linear, outputs in zip(layer.linear, (width, 2 * width, width), strict=True):
            self.linear(linear, outputs, width)


def position_embeddings(plan: Sequence[tuple[int, ...]], embeddings: Floats) -> Floats:
    """Shape (positions, width). Rows have the direction of their token's embedding, POSITION_SCALE per dimension."""
    rows = np.stack([embeddings[first] for first, *_ in plan]).astype(np.float32)
    for row, (_, *second) in zip(rows, plan, strict=True):
        for token in second:
            row += SECOND_CHOICE * embeddings[token]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows * POSITION_SCALE * embeddings.shape[1] ** 0.5, np.float32)


def sinusoids(length: int, width: int) -> Floats:
    """The encoder's position embeddings, shape (length, width), as in Whisper."""
    rates = np.exp(-np.log(10_000) / (width // 2 - 1) * np.arange(width // 2))
    angles = np.arange(length)[:, None] * rates[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def build_spec(size: Size, tokenizer: Tokenizer) -> WhisperSpec:
    """The checkpoint in memory, twice the size of the released float16 file."""
    from ctranslate2.specs import WhisperSpec  # here, because it imports torch where that is installed: 2 s

    make = WeightMaker()
    width = size.width
    spec = WhisperSpec(size.layers, size.heads, size.layers, size.heads)
    for convolution, inputs in ((spec.encoder.conv1, size.mels), (spec.encoder.conv2, width)):
        convolution.weight = make.normal(width, inputs, 3, scale=(3 * inputs) ** -0.5)
        convolution.bias = make.normal(width, scale=0.01)
    spec.encoder.position_encodings.encodings = sinusoids(AUDIO_POSITIONS, width)
    make.norm(spec.encoder.layer_norm, width)
    for layer in spec.encoder.layer:
        make.block(layer, width)
    for layer in spec.decoder.layer:
        make.block(layer, width)
        make.cross_attention(layer.attention, width)
    embeddings = make.normal(tokenizer.get_vocab_size(), width, scale=EMBEDDING_SCALE)
    spec.decoder.embeddings.weight = embeddings
    spec.decoder.projection.weight = embeddings
    plan = plan_positions(tokenizer)
    spec.decoder.position_encodings.encodings = position_embeddings(plan, embeddings.astype(np.float32))
    # The last norm scales every hidden state to sqrt(width); the gain then gives the scripted token the logit LOGIT.
    make.norm(spec.decoder.layer_norm, width, gamma=LOGIT / (width * EMBEDDING_SCALE))
    return spec


def alignment_heads(size: Size) -> Iterator[tuple[int, int]]:
    """The attention heads for word times: as many as the released checkpoints have, in the upper half of the layers."""
    for layer in range(size.layers // 2, size.layers):
        yield layer, layer % size.heads
        yield layer, (layer + size.heads // 2) % size.heads


def write_model(name: str, output: Path) -> Path:
    """Write the model into `output / name`, replacing existing files. `output` can be used as WHISPER_MODEL_DIR."""
    size = SIZES[name]
    pieces = released_vocabulary()
    tokenizer = build_tokenizer(pieces, size.languages)
    spec = build_spec(size, tokenizer)
    vocabulary = [tokenizer.id_to_token(index) for index in range(tokenizer.get_vocab_size())]
    spec.register_vocabulary(vocabulary)
    spec.config.lang_ids = sorted(tokenizer.token_to_id(f"<|{code}|>") for code in _LANGUAGE_CODES[: size.languages])
    spec.config.alignment_heads = list(alignment_heads(size))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokenizer.token_to_id("Ġ"), tokenizer.token_to_id("<|endoftext|>")]
    spec.validate()
    # Only the tied weights are equal; optimize() would find them by comparing every pair of arrays.
    spec.decoder.projection.weight = "decoder/embeddings/weight"
    folder = output / name
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": size.mels}) + "\n")
    return folder


def main() -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--size", choices=SIZES, default="base", help="the released size whose shape is used")
    parser.add_argument("--output", type=Path, required=True, help="folder of models, for WHISPER_MODEL_DIR")
    arguments = parser.parse_args()
    try:
        folder = write_model(arguments.size, arguments.output)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Wrote {folder}, {(folder / 'model.bin').stat().st_size / 1e6:.0f} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
