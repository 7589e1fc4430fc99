"""The training losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LABEL_SMOOTHING = 0.02
SOFT_TIMESTAMP = (0.08, 0.2, 0.44, 0.2, 0.08)  # over neighbouring 20 ms tokens
IGNORE = -100


def token_loss(logits: Tensor, targets: Tensor, first_timestamp: int) -> Tensor:
    """Cross-entropy of the next token. The targets of timestamps are spread over neighbouring ones.

    logits: (batch, tokens, vocabulary). targets: (batch, tokens), IGNORE where not trained.
    """
    known = targets != IGNORE
    log_probs = logits[known].log_softmax(-1)
    expected = targets[known]
    hard = -log_probs.gather(1, expected[:, None])[:, 0]
    is_time = expected >= first_timestamp
    if is_time.any():
        times = expected[is_time]
        shifts = torch.arange(len(SOFT_TIMESTAMP)) - len(SOFT_TIMESTAMP) // 2
        near = (times[:, None] + shifts).clamp(first_timestamp, logits.shape[-1] - 1)
        hard[is_time] = -(log_probs[is_time].gather(1, near) * torch.tensor(SOFT_TIMESTAMP)).sum(1)
    smooth = -log_probs.mean(-1)
    return ((1 - LABEL_SMOOTHING) * hard + LABEL_SMOOTHING * smooth).mean()


def guided_attention_loss(attention: Tensor, spans: Tensor, slack: int = 3) -> Tensor:
    """The mean share of attention outside the time in which a token is spoken, 0..1.

    attention: (batch, heads, tokens, frames). spans: (batch, tokens, 2) in frames, -1 where unknown.
    """
    known = spans[..., 0] >= 0
    if not known.any():
        return attention.new_zeros(())
    rows = attention.transpose(1, 2)[known]
    start, end = spans[known][:, 0] - slack, spans[known][:, 1] + slack
    frames = torch.arange(attention.shape[-1])
    inside = (frames >= start[:, None]) & (frames <= end[:, None])
    return 1 - (rows * inside[:, None, :]).sum(-1).mean()


def ctc_loss(logits: Tensor, frames: Tensor, characters: Tensor, lengths: Tensor) -> Tensor:
    """CTC over characters, per character.

    logits: (batch, frames, classes). frames, lengths: audio frames and characters of each window.
    """
    spoken = lengths > 0
    if not spoken.any():
        return logits.new_zeros(())
    log_probs = logits[spoken].log_softmax(-1).transpose(0, 1)
    return functional.ctc_loss(
        log_probs, characters[spoken], frames[spoken], lengths[spoken], reduction="mean", zero_infinity=True
    )
