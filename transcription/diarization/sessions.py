"""The two models in onnxruntime: which local speakers speak in a window, and the voice of one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from transcription.core.audio import INT16_SCALE
from transcription.core.errors import ModelUnavailable
from transcription.diarization.powerset import RECEPTIVE_FIELD, SETS
from transcription.diarization.weights import EMBEDDING, SEGMENTATION, checked, weights_folder

_NO_MODEL = (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented, state.RuntimeException)


class SpeakerModels(Protocol):
    """What a diarization needs of the models."""

    def segment(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """Log probabilities of the sets of local speakers (SETS) in each frame of a window, shape (frames, 7).

        samples: shape (n,), 16 kHz mono; no frames if n < RECEPTIVE_FIELD.
        """
        ...

    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The voice in `features`, shape (frames, 80), as a vector of length 1, shape (192,)."""
        ...


class OnnxSpeakerModels:
    """Both models on one thread. May be used by several threads at once."""

    def __init__(self, model_dir: Path) -> None:
        """model_dir: WHISPER_MODEL_DIR. Raises ModelUnavailable."""
        folder = weights_folder(model_dir)
        self._segmentation = _session(folder, SEGMENTATION)
        self._embedding = _session(folder, EMBEDDING)

    def segment(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """See SpeakerModels."""
        if len(samples) < RECEPTIVE_FIELD:
            return np.empty((0, len(SETS)), np.float32)
        signal = samples.astype(np.float32) / np.float32(INT16_SCALE)
        (scores,) = self._segmentation.run(None, {"x": signal[None, None, :]})
        result: NDArray[np.float32] = scores[0]
        return result

    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """See SpeakerModels."""
        centred = features - features.mean(axis=0, keepdims=True)
        (vectors,) = self._embedding.run(None, {"x": centred[None]})
        vector: NDArray[np.float32] = vectors[0]
        return vector / np.linalg.norm(vector)


def _session(folder: Path, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # One thread: the caller that runs several diarizations at once decides how many cores they take.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # the arena keeps the largest buffers of every length that was ever used
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors
    path = checked(folder, name)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _NO_MODEL as error:
        raise ModelUnavailable(f"{path} cannot be loaded by onnxruntime.", str(error)) from error
