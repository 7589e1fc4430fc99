"""Whisper's network with the parameter names of transformers, plus heads that only training uses.

Not imported from transformers, because training needs the last layer's cross-attention weights and shifted encoder
positions at full speed. The weights load unchanged into transformers' WhisperForConditionalGeneration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_ENCODER_FRAMES = 1500
MAX_TOKENS = 448


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network. vocabulary: text pieces and special tokens."""

    vocabulary: int
    width: int = 192
    heads: int = 3
    encoder_layers: int = 3
    decoder_layers: int = 2
    mels: int = 80


def sinusoids(length: int, channels: int) -> Tensor:
    """Whisper's fixed position embeddings, (length, channels)."""
    step = math.log(10_000) / (channels // 2 - 1)
    inverse = torch.exp(-step * torch.arange(channels // 2))
    scaled = torch.arange(length)[:, None] * inverse[None, :]
    return torch.cat([scaled.sin(), scaled.cos()], dim=1)


class Attention(nn.Module):
    """Multi-head attention. As in Whisper, keys have no bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, source: Tensor, causal: bool = False) -> Tensor:
        q, k, v = self._split(self.q_proj(x)), self._split(self.k_proj(source)), self._split(self.v_proj(source))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, source: Tensor, heads: int) -> Tensor:
        """Attention probabilities of the first `heads` heads, (batch, heads, tokens, frames)."""
        q, k = self._split(self.q_proj(x))[:, :heads], self._split(self.k_proj(source))[:, :heads]
        return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)


class EncoderLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.self_attn_layer_norm(x)
        x = x + self.self_attn(normed, normed)
        return x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))


class DecoderLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.encoder_attn = Attention(width, heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """The next hidden states, and the input of the cross-attention's queries."""
        normed = self.self_attn_layer_norm(x)
        x = x + self.self_attn(normed, normed, causal=True)
        query = self.encoder_attn_layer_norm(x)
        x = x + self.encoder_attn(query, source)
        return x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x)))), query


class Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(shape.mels, shape.width, 3, padding=1)
        self.conv2 = nn.Conv1d(shape.width, shape.width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(MAX_ENCODER_FRAMES, shape.width)
        self.embed_positions.weight = nn.Parameter(sinusoids(MAX_ENCODER_FRAMES, shape.width), requires_grad=False)
        self.layers = nn.ModuleList(EncoderLayer(shape.width, shape.heads) for _ in range(shape.encoder_layers))
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(self, features: Tensor, offsets: Tensor) -> Tensor:
        """(batch, mels, frames) to (batch, frames / 2, width); offsets: first position of each window."""
        x = functional.gelu(self.conv1(features))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        positions = offsets[:, None] + torch.arange(x.shape[1])
        x = x + self.embed_positions(positions)
        for layer in self.layers:
            x = layer(x)
        return self.layer_norm(x)


class Decoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.embed_positions = nn.Embedding(MAX_TOKENS, shape.width)
        self.layers = nn.ModuleList(DecoderLayer(shape.width, shape.heads) for _ in range(shape.decoder_layers))
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(self, tokens: Tensor, source: Tensor, guided_heads: int) -> tuple[Tensor, Tensor]:
        """Logits (batch, tokens, vocabulary), and the last layer's first cross-attention heads."""
        x = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        query = x
        for layer in self.layers:
            x, query = layer(x, source)
        last: DecoderLayer = self.layers[-1]  # type: ignore[assignment]
        attention = last.encoder_attn.weights(query, source, guided_heads)
        return self.layer_norm(x) @ self.embed_tokens.weight.T, attention


class Whisper(nn.Module):
    """Whisper's encoder and decoder. phoneme_head and ctc_head are for training and not converted."""

    def __init__(self, shape: Shape, phonemes: int, characters: int, first_timestamp: int) -> None:
        super().__init__()
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape)
        self.phoneme_head = nn.Linear(shape.width, phonemes + 1)
        self.ctc_head = nn.Linear(shape.width, characters + 1)
        self._initialise(shape, first_timestamp)

    def _initialise(self, shape: Shape, first_timestamp: int) -> None:
        deep = 1 / math.sqrt(2 * (shape.encoder_layers + shape.decoder_layers))
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad or parameter.dim() < 2 or "conv" in name:
                continue
            nn.init.normal_(parameter, std=0.04 * (deep if name.endswith(("out_proj.weight", "fc2.weight")) else 1))
        with torch.no_grad():
            # Neighbouring timestamps and positions start with similar embeddings.
            times = shape.vocabulary - first_timestamp
            self.decoder.embed_tokens.weight[first_timestamp:] = 0.05 * sinusoids(times, shape.width)
            self.decoder.embed_positions.weight[:] = 0.05 * sinusoids(MAX_TOKENS, shape.width)
