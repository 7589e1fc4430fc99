"""Store the weights for telling speakers apart in half precision: `python -m scripts.make_speaker_weights SEG EMB`.

SEG and EMB are the models in single precision, see models/diarization/README.md. onnxruntime converts the weights back
when it loads a model, so that they take half the space on disk and cost nothing.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.diarization.weights import CHECKSUMS, EMBEDDING, FOLDER, SEGMENTATION

LEAST_WEIGHTS = 1024  # in a tensor that is converted; smaller ones are scales and biases


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large weights in half precision, followed by a cast to single precision each."""
    graph, casts = model.graph, []
    for tensor in list(graph.initializer):
        weights = numpy_helper.to_array(tensor)
        if weights.dtype != np.float32 or weights.size < LEAST_WEIGHTS:
            continue
        half = numpy_helper.from_array(weights.astype(np.float16), f"{tensor.name}_half")
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    return model


def main() -> None:
    """Write both models and their checksums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("segmentation", type=Path)
    parser.add_argument("embedding", type=Path)
    parser.add_argument("--folder", type=Path, default=EMBEDDED_MODEL_DIR / FOLDER)
    options = parser.parse_args()
    sums = []
    for source, name in ((options.segmentation, SEGMENTATION), (options.embedding, EMBEDDING)):
        content = halve(onnx.load(source)).SerializeToString(deterministic=True)
        (options.folder / name).write_bytes(content)
        sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    (options.folder / CHECKSUMS).write_text("".join(sums))


if __name__ == "__main__":
    main()
