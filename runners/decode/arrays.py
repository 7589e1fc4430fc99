"""The interface of the array operations around a model, independent of the library that computes them.

`features.py` implements it in numpy and chooses the implementation; `torch_features.py` implements it in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import ctranslate2
import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]


class LogMel(Protocol):
    """Log-mel spectrogram of one window, shape (n_mels, frames): an array of the library that computed it.

    The frames are those that start within the window, and one more.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: Any, /) -> Any: ...


class Arrays(Protocol):
    """The array operations of the engine, on the device of the model. Thread-safe."""

    def log_mel(self, batch: Sequence[Pcm]) -> list[LogMel]:
        """faster-whisper's features of each window, as if it were computed alone.

        batch: int16, shape (n,), 16 kHz mono, 0 < n <= 480 000; lengths may differ.
        """
        ...

    def loudness(self, features: LogMel) -> NDArray[np.float32]:
        """The mean of each frame, on the host, shape (frames,)."""
        ...

    def stack(self, parts: Sequence[LogMel], frames: int) -> ctranslate2.StorageView:
        """Parts of windows as the encoder's input, padded with silence: shape (parts, n_mels, frames).

        frames: even. As in Whisper, an input of ENCODER_FRAMES is padded with zeros, which is the middle of the range
        of features; a shorter one with the lowest value that the features of the part can have.
        """
        ...

    def take_rows(self, encoded: ctranslate2.StorageView, rows: Sequence[int]) -> ctranslate2.StorageView:
        """Some windows of an encoded batch, in the given order, without encoding them again.

        encoded: shape (windows, positions, d_model).
        """
        ...


# The lowest feature is this far below the highest of its window: 8 decades of energy, of which one is 0.25.
FEATURE_RANGE = 2.0


def is_whole(encoded: ctranslate2.StorageView, rows: Sequence[int]) -> bool:
    """Whether `rows` are all rows in their order, so that no copy is needed."""
    return list(rows) == list(range(encoded.shape[0]))


def exchangeable(encoded: ctranslate2.StorageView) -> ctranslate2.StorageView:
    """The same numbers in a type that numpy and torch can read: the array interface has no bfloat16.

    CTranslate2 converts them back when it reads them, without loss.
    """
    if encoded.dtype == ctranslate2.DataType.bfloat16:
        return encoded.to(ctranslate2.DataType.float32)
    return encoded


def joined(encoded: Sequence[ctranslate2.StorageView]) -> ctranslate2.StorageView:
    """Encoded batches of one context as one batch. Several must be on the CPU."""
    if len(encoded) == 1:
        return encoded[0]
    return ctranslate2.StorageView.from_array(np.concatenate([np.asarray(exchangeable(each)) for each in encoded]))
