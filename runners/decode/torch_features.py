"""The arithmetic around a model on a GPU, in torch: only samples are copied to the GPU, and only results back.

Assumptions, from CTranslate2's source and documentation (docs/decisions/0008-features-on-the-gpu.md):

- `StorageView.from_array` shares a CUDA tensor's memory and keeps the tensor alive; it refuses strided tensors.
- CTranslate2 works on streams of its own and does not look at torch's. So torch must have finished before a view is
  handed over, and have finished reading before a view of CTranslate2's is released.
- `encode`, `generate`, `detect_language` and `align` copy the view they are given, on the device, before they return;
  what `encode` returns is complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ctranslate2
import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from runners.decode.arrays import FEATURE_RANGE, LogMel, Pcm, exchangeable, is_whole
from runners.placement import CUDA
from transcription.core.audio import ENCODER_FRAMES, INT16_SCALE

# As in faster-whisper's extractor.
TRAILING_ZEROS = 160  # samples
SMALLEST_ENERGY = 1e-10
DYNAMIC_RANGE = 8.0  # decades below the loudest point of the window


def has_gpu() -> bool:
    """Whether torch can compute on a GPU of this machine."""
    return bool(torch.cuda.is_available())


class TorchArrays:
    """Implements `arrays.Arrays`. The features of a whole batch are computed in one call.

    device: a GPU such as "cuda:0", or "cpu" for tests. half: features in float16, for a model that computes in it, else
    float32.
    Raises torch.OutOfMemoryError, a RuntimeError that says "out of memory", when the GPU's memory is full.
    """

    def __init__(self, extractor: FeatureExtractor, device: str, *, half: bool) -> None:
        self._device = device
        self._dtype = torch.float16 if half else torch.float32
        self._n_fft: int = extractor.n_fft
        self._hop: int = extractor.hop_length
        self._filters = torch.from_numpy(extractor.mel_filters).to(device)
        self._taper = torch.from_numpy(np.hanning(self._n_fft + 1)[:-1].astype(np.float32)).to(device)
        # Not torch's default stream: it waits for every stream of CTranslate2, other slots' included, and they for it.
        self._stream = torch.cuda.Stream(device) if device.startswith(CUDA) else None

    def log_mel(self, batch: Sequence[Pcm]) -> list[LogMel]:
        frames = [len(samples) // self._hop + 1 for samples in batch]
        signal = self._padded(batch)
        with self._finished():
            waves = torch.from_numpy(signal).to(self._device).to(torch.float32) / INT16_SCALE
            spectrum = torch.stft(waves, self._n_fft, self._hop, window=self._taper, center=False, return_complex=True)
            energies = self._filters @ spectrum[..., :-1].abs().square()
            logs = energies.clamp(min=SMALLEST_ENERGY).log10()
            ends = torch.tensor(frames, device=self._device)[:, None, None]
            beyond = torch.arange(logs.shape[-1], device=self._device) >= ends
            loudest = logs.masked_fill(beyond, -torch.inf).amax(dim=(1, 2), keepdim=True)
            features = ((torch.maximum(logs, loudest - DYNAMIC_RANGE) + 4.0) / 4.0).to(self._dtype)
        return [features[row, :, :count] for row, count in enumerate(frames)]

    def loudness(self, features: Any) -> NDArray[np.float32]:
        with self._finished():
            means: NDArray[np.float32] = features.float().mean(dim=0).cpu().numpy()
        return means

    def stack(self, parts: Sequence[Any], frames: int) -> ctranslate2.StorageView:
        shape = (len(parts), parts[0].shape[0], frames)
        with self._finished():
            stacked = torch.zeros(shape, dtype=self._dtype, device=self._device)
            for row, part in enumerate(parts):
                if frames < ENCODER_FRAMES:
                    stacked[row] = part.max() - FEATURE_RANGE
                stacked[row, :, : part.shape[1]] = part[:, :frames]
        return self._view(stacked)

    def take_rows(self, encoded: ctranslate2.StorageView, rows: Sequence[int]) -> ctranslate2.StorageView:
        if is_whole(encoded, rows):
            return encoded
        source = exchangeable(encoded)
        with self._finished():
            picked = self._tensor(source).index_select(0, torch.tensor(list(rows), device=self._device))
        return self._view(picked)

    def _padded(self, batch: Sequence[Pcm]) -> NDArray[np.int16]:
        """Windows side by side, each mirrored at its own ends.

        On the CPU: a window may be shorter than its mirror image, which numpy mirrors again and torch refuses.
        """
        margin = self._n_fft // 2
        longest = max(len(samples) for samples in batch)
        signal = np.zeros((len(batch), longest + TRAILING_ZEROS + 2 * margin), np.int16)
        for row, samples in enumerate(batch):
            padded = np.pad(np.pad(samples, (0, TRAILING_ZEROS)), margin, mode="reflect")
            signal[row, : len(padded)] = padded
        return signal

    @contextmanager
    def _finished(self) -> Iterator[None]:
        """Wait for torch before the block is left, even by an exception: inputs may be freed after it."""
        if self._stream is None:
            yield
            return
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            self._stream.synchronize()

    def _view(self, tensor: torch.Tensor) -> ctranslate2.StorageView:
        # A CUDA tensor has the interface that CTranslate2 reads; one on the CPU must become an array.
        return ctranslate2.StorageView.from_array(tensor if tensor.is_cuda else tensor.numpy())

    def _tensor(self, view: ctranslate2.StorageView) -> torch.Tensor:
        """The view's own memory as a tensor."""
        return torch.as_tensor(view if view.device == CUDA else np.asarray(view), device=self._device)
