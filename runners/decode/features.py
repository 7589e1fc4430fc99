"""The arithmetic around the model: log-mel features, batches of them, rows of the encoder's output.

Which library does it depends on where the model is: numpy beside a model on the CPU, torch beside one on a GPU, so
that features are computed where they are used. `torch_features` is imported only when it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import ctranslate2
import numpy as np
import structlog
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from runners.batching.layout import CPU, CUDA, Placement
from transcription.core.audio import ENCODER_FRAMES, INT16_SCALE

HALF_TYPES = frozenset(("float16", "int8_float16"))  # compute types whose encoder reads float16

log = structlog.get_logger(__name__)

Pcm = NDArray[np.int16]


class LogMel(Protocol):
    """Log-mel spectrogram of one window, shape (n_mels, frames): an array of the library that computed it.

    The frames are those that start within the window, and one more.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: Any, /) -> Any: ...


class Arrays(Protocol):
    """What the engine computes itself, on the device of the model. Thread-safe."""

    def log_mel(self, batch: Sequence[Pcm]) -> list[LogMel]:
        """faster-whisper's features of each window, as if it were alone.

        batch: int16, shape (n,), 16 kHz mono, 0 < n <= 480 000; lengths may differ.
        """
        ...

    def stack(self, parts: Sequence[LogMel]) -> ctranslate2.StorageView:
        """Parts of windows as the encoder wants them: padded with zeros, shape (parts, n_mels, ENCODER_FRAMES)."""
        ...

    def take_rows(self, encoded: ctranslate2.StorageView, rows: Sequence[int]) -> ctranslate2.StorageView:
        """Some windows of an encoded batch, in the given order, without encoding them again.

        encoded: shape (windows, positions, d_model).
        """
        ...


class HostArrays:
    """numpy and faster-whisper's own extractor, one window after another.

    Serves a model on a GPU too, by way of copies: where torch is missing.
    """

    def __init__(self, extractor: FeatureExtractor) -> None:
        self._extractor = extractor

    def log_mel(self, batch: Sequence[Pcm]) -> list[LogMel]:
        return [self._extractor(samples.astype(np.float32) / INT16_SCALE) for samples in batch]

    def stack(self, parts: Sequence[Any]) -> ctranslate2.StorageView:
        stacked = np.zeros((len(parts), parts[0].shape[0], ENCODER_FRAMES), np.float32)
        for row, part in enumerate(parts):
            stacked[row, :, : part.shape[1]] = part[:, :ENCODER_FRAMES]
        return ctranslate2.StorageView.from_array(stacked)

    def take_rows(self, encoded: ctranslate2.StorageView, rows: Sequence[int]) -> ctranslate2.StorageView:
        if is_whole(encoded, rows):
            return encoded
        device = encoded.device
        on_cpu = exchangeable(encoded if device == CPU else encoded.to_device(ctranslate2.Device.cpu))
        picked = ctranslate2.StorageView.from_array(np.asarray(on_cpu)[list(rows)])
        return picked if device == CPU else picked.to_device(ctranslate2.Device.cuda)


def choose_arrays(placement: Placement, extractor: FeatureExtractor) -> Arrays:
    """Torch on a GPU where it is installed and works, numpy otherwise.

    extractor: of the model, for the size and number of its mel filters.
    """
    if placement.device != CUDA:
        return HostArrays(extractor)
    try:
        from runners.decode import torch_features
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return _without_torch(extractor, "torch is not installed")
    if not torch_features.has_gpu():
        return _without_torch(extractor, "torch sees no GPU: it is a CPU build, or newer than the GPU's driver")
    return torch_features.TorchArrays(extractor, CUDA, half=placement.compute_type in HALF_TYPES)


def is_whole(encoded: ctranslate2.StorageView, rows: Sequence[int]) -> bool:
    """Whether `rows` are all rows in their order, so that nothing needs to be copied."""
    return list(rows) == list(range(encoded.shape[0]))


def exchangeable(encoded: ctranslate2.StorageView) -> ctranslate2.StorageView:
    """The same numbers in a type that numpy and torch can read: the array interface has no bfloat16.

    CTranslate2 converts them back when it reads them, without loss.
    """
    if encoded.dtype == ctranslate2.DataType.bfloat16:
        return encoded.to(ctranslate2.DataType.float32)
    return encoded


def _without_torch(extractor: FeatureExtractor, reason: str) -> HostArrays:
    log.warning(
        "features_on_the_cpu",
        reason=reason,
        advice="Features are computed on the CPU and copied to the GPU. Install the extra gpu: pip install '.[gpu]'",
    )
    return HostArrays(extractor)
