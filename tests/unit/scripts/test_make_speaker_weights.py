"""Weights in half precision."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from scripts.make_speaker_weights import halve

ROWS, COLUMNS = 64, 32
WEIGHTS = np.random.default_rng(0).normal(0, 1, (ROWS, COLUMNS)).astype(np.float32)
BIAS = np.linspace(0, 1, COLUMNS, dtype=np.float32)


def layer() -> onnx.ModelProto:
    """y = x @ WEIGHTS + BIAS"""
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, ROWS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, COLUMNS])],
        [numpy_helper.from_array(WEIGHTS, "weights"), numpy_helper.from_array(BIAS, "bias")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_large_weights_are_halved_and_small_ones_are_kept() -> None:
    types = {each.name: each.data_type for each in halve(layer()).graph.initializer}
    assert types == {"weights_half": TensorProto.FLOAT16, "bias": TensorProto.FLOAT}


def test_the_model_computes_in_single_precision_as_before() -> None:
    session = onnxruntime.InferenceSession(halve(layer()).SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(0, 1, (1, ROWS)).astype(np.float32)

    (y,) = session.run(None, {"x": x})

    assert y == pytest.approx(x @ WEIGHTS.astype(np.float16).astype(np.float32) + BIAS, abs=1e-4)
