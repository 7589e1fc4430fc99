"""The arithmetic around the model: log-mel features, batches of them, rows of the encoder's output.

Computed where the model runs: with numpy beside a model on the CPU, with torch beside one on a GPU. `torch_features` is
imported only when it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ctranslate2
import numpy as np
import structlog
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from runners.decode.arrays import FEATURE_RANGE, Arrays, LogMel, Pcm, exchangeable, is_whole
from runners.placement import CPU, CUDA, Placement
from transcription.core.audio import ENCODER_FRAMES, INT16_SCALE

HALF_TYPES = frozenset(("float16", "int8_float16"))  # compute types whose encoder reads float16

log = structlog.get_logger(__name__)


class HostArrays:
    """Array operations in numpy with faster-whisper's own extractor, one window after another.

    Also used for a model on a GPU if torch is missing; features are then copied to the GPU.
    """

    def __init__(self, extractor: FeatureExtractor) -> None:
        self._extractor = extractor

    def log_mel(self, batch: Sequence[Pcm]) -> list[LogMel]:
        return [self._extractor(samples.astype(np.float32) / INT16_SCALE) for samples in batch]

    def loudness(self, features: Any) -> NDArray[np.float32]:
        means: NDArray[np.float32] = features.mean(axis=0)
        return means

    def stack(self, parts: Sequence[Any], frames: int) -> ctranslate2.StorageView:
        stacked = np.zeros((len(parts), parts[0].shape[0], frames), np.float32)
        for row, part in enumerate(parts):
            if frames < ENCODER_FRAMES:
                stacked[row] = part.max() - FEATURE_RANGE
            stacked[row, :, : part.shape[1]] = part[:, :frames]
        return ctranslate2.StorageView.from_array(stacked)

    def take_rows(self, encoded: ctranslate2.StorageView, rows: Sequence[int]) -> ctranslate2.StorageView:
        if is_whole(encoded, rows):
            return encoded
        # Left on the CPU: CTranslate2 copies it to the GPU of the model, which need not be the first one.
        on_cpu = exchangeable(encoded if encoded.device == CPU else encoded.to_device(ctranslate2.Device.cpu))
        return ctranslate2.StorageView.from_array(np.asarray(on_cpu)[list(rows)])


def choose_arrays(placement: Placement, extractor: FeatureExtractor, number: int = 0) -> Arrays:
    """Torch on a GPU where it is installed and works, numpy otherwise.

    extractor: of the model, for the size and number of its mel filters. number: of the GPU.
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
    return torch_features.TorchArrays(extractor, f"{CUDA}:{number}", half=placement.compute_type in HALF_TYPES)


def _without_torch(extractor: FeatureExtractor, reason: str) -> HostArrays:
    log.warning(
        "features_on_the_cpu",
        reason=reason,
        advice="Features are computed on the CPU and copied to the GPU. Install the extra gpu: pip install '.[gpu]'",
    )
    return HostArrays(extractor)
