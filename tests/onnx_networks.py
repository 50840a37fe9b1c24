"""Small ONNX networks whose output is known."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper


def pooling_network(path: Path, size: int | str, matrix: np.ndarray, pool: int) -> Path:
    """Pools by squares of `pool` pixels, then multiplies by a matrix: (B, 3, size, size) -> (B, width)."""
    nodes = [
        helper.make_node("AveragePool", ["in"], ["pooled"], kernel_shape=[pool, pool], strides=[pool, pool]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", matrix.shape[1]])],
        [helper.make_tensor("matrix", TensorProto.FLOAT, matrix.shape, matrix.astype(np.float32).ravel())],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
