"""Calls the encoder of a model for parts of windows."""

from __future__ import annotations

from collections.abc import Sequence

import ctranslate2

from runners.decode.arrays import joined
from runners.decode.model import ModelHandle
from runners.decode.parts import Part
from runners.placement import CPU
from transcription.telemetry.tracing import MODEL_ENCODE, stage


class Encoder:
    """The encoder of one model."""

    def __init__(self, model: ModelHandle) -> None:
        self._model: ctranslate2.models.Whisper = model.whisper.model
        self._arrays = model.arrays
        self._on_cpu: bool = self._model.device == CPU

    def encode(self, parts: Sequence[Part], context: int) -> ctranslate2.StorageView:
        """The parts as the decoder's input, shape (parts, context / 2, d_model), on the model's device.

        context: frames that the encoder sees of each part, padded with silence.
        """
        # On a CPU one after another: what a layer computes for one window stays in the processor's cache.
        calls = [[part] for part in parts] if self._on_cpu else [parts]
        # Kept on the device: the model is on one GPU at most, so every later call can read it there.
        with stage(MODEL_ENCODE):
            return joined(
                [
                    self._model.encode(self._arrays.stack([part.features for part in call], context), to_cpu=False)
                    for call in calls
                ]
            )
