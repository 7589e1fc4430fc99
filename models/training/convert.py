"""Converts a training checkpoint to a CTranslate2 model folder, the format of released models."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from ctranslate2.converters import TransformersConverter
from transformers import PreTrainedTokenizerFast, WhisperConfig, WhisperForConditionalGeneration

from models.training.network import MAX_ENCODER_FRAMES, MAX_TOKENS, Shape
from models.training.training import GUIDED_HEADS
from models.training.vocabulary import LANGUAGE_CODES, Vocabulary

TRAINING_ONLY = ("phoneme_head.", "ctc_head.")
KEPT_FILES = ("model.bin", "config.json", "vocabulary.json", "tokenizer.json", "preprocessor_config.json")


def convert(checkpoint: Path, tokenizer: Path, output: Path, quantization: str = "int8") -> None:
    """Write the folder `output`, which faster-whisper and this service load like a released model."""
    vocabulary = Vocabulary.load(tokenizer)
    shape = Shape(len(vocabulary))
    with tempfile.TemporaryDirectory() as folder:
        source, converted = Path(folder) / "transformers", Path(folder) / "ctranslate2"
        _save_for_transformers(checkpoint, vocabulary, tokenizer, shape, source)
        TransformersConverter(str(source)).convert(str(converted), quantization=quantization)
        _complete_config(converted / "config.json", vocabulary, shape)
        shutil.copy(tokenizer, converted / "tokenizer.json")
        (converted / "preprocessor_config.json").write_text(json.dumps({"feature_size": shape.mels}) + "\n")
        output.mkdir(parents=True, exist_ok=True)
        for name in KEPT_FILES:
            shutil.copy(converted / name, output / f"{name}.new")
        for name in KEPT_FILES:
            (output / f"{name}.new").replace(output / name)


def _save_for_transformers(
    checkpoint: Path, vocabulary: Vocabulary, tokenizer: Path, shape: Shape, folder: Path
) -> None:
    weights = torch.load(checkpoint, weights_only=True)["model"]
    model = WhisperForConditionalGeneration(_transformers_config(vocabulary, shape))
    state = {f"model.{name}": value for name, value in weights.items() if not name.startswith(TRAINING_ONLY)}
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    model.load_state_dict(state)
    generation = model.generation_config
    generation.suppress_tokens = []
    generation.begin_suppress_tokens = _blank_tokens(vocabulary)
    generation.lang_to_id = _languages(vocabulary)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_file=str(tokenizer), eos_token="<|endoftext|>").save_pretrained(folder)


def _transformers_config(vocabulary: Vocabulary, shape: Shape) -> WhisperConfig:
    end = vocabulary.id("endoftext")
    return WhisperConfig(
        vocab_size=shape.vocabulary,
        num_mel_bins=shape.mels,
        d_model=shape.width,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=4 * shape.width,
        decoder_ffn_dim=4 * shape.width,
        max_source_positions=MAX_ENCODER_FRAMES,
        max_target_positions=MAX_TOKENS,
        decoder_start_token_id=vocabulary.id("startoftranscript"),
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        suppress_tokens=[],
        begin_suppress_tokens=_blank_tokens(vocabulary),
    )


def _blank_tokens(vocabulary: Vocabulary) -> list[int]:
    return [vocabulary.tokenizer.token_to_id("Ġ"), vocabulary.id("endoftext")]


def _languages(vocabulary: Vocabulary) -> dict[str, int]:
    return {f"<|{code}|>": vocabulary.id(code) for code in LANGUAGE_CODES}


def _complete_config(path: Path, vocabulary: Vocabulary, shape: Shape) -> None:
    config: dict[str, Any] = json.loads(path.read_text())
    # Language detection needs lang_ids. The guided heads are those whose attention follows the speech.
    config["lang_ids"] = sorted(_languages(vocabulary).values())
    config["alignment_heads"] = [[shape.decoder_layers - 1, head] for head in range(GUIDED_HEADS)]
    config["suppress_ids"] = []
    config["suppress_ids_begin"] = _blank_tokens(vocabulary)
    path.write_text(json.dumps(config, indent=2) + "\n")
