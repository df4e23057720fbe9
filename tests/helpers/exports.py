"""Write tiny networks as ONNX files and OpenVINO IRs."""

from pathlib import Path

import numpy as np
import pytest

__all__ = [
    "colours_ir",
    "colours_onnx",
    "fixed_boxes_ir",
    "fixed_boxes_onnx",
    "normalised_onnx",
    "whole_image_onnx",
]


def colours_onnx(
    path: Path, batch: int | str = "n", size: tuple[int, int] | None = None, factor: float = 1
) -> Path:
    """Write a network of the mean of each plane times `factor`, (B, 3, H, W) to (B, 3).

    `size` is the input's width and height; None allows any.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    width, height = size or ("w", "h")
    node = helper.make_node("GlobalAveragePool", ["images"], ["means"])
    flat = helper.make_node("Flatten", ["means"], ["flat"])
    scaled = helper.make_node("Mul", ["flat", "factor"], ["embedding"])
    _save(
        onnx,
        path,
        [node, flat, scaled],
        helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, height, width]),
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(np.float32(factor), "factor")],
    )
    return path


def normalised_onnx(path: Path) -> Path:
    """Write a network of the maximum of each normalised plane of 32x64 pixels."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("MeanVarianceNormalization", ["images"], ["planes"], axes=[2, 3]),
        helper.make_node("GlobalMaxPool", ["planes"], ["peaks"]),
        helper.make_node("Flatten", ["peaks"], ["embedding"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 32])
    result = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 3])
    _save(onnx, path, nodes, images, [result])
    return path


def fixed_boxes_onnx(path: Path, boxes: np.ndarray, scores: np.ndarray) -> Path:
    """Write a detector that returns `boxes` (n, 4) with `scores` (n,) for any image."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    nothing = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["none"]),
        helper.make_node("Add", ["kept_boxes", "none"], ["boxes"]),
        helper.make_node("Add", ["kept_scores", "none"], ["scores"]),
    ]
    kept = {"zero": np.float32(0), "kept_boxes": boxes, "kept_scores": scores}
    _save(
        onnx,
        path,
        nothing,
        helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "h", "w"]),
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, list(boxes.shape)),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, list(scores.shape)),
        ],
        [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in kept.items()],
    )
    return path


def whole_image_onnx(path: Path) -> Path:
    """Write a detector with RT-DETR's inputs, whose only box, of class 0, is the whole image."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["none"]),
        helper.make_node("Cast", ["orig_target_sizes"], ["sides"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["corner", "sides"], ["flat"], axis=1),
        helper.make_node("Unsqueeze", ["flat", "axis"], ["boxes"]),
        helper.make_node("Add", ["score", "none"], ["scores"]),
        helper.make_node("Mul", ["score", "none"], ["none_of_row"]),
        helper.make_node("Cast", ["none_of_row"], ["labels"], to=TensorProto.INT64),
    ]
    kept = {"zero": np.float32(0), "corner": np.zeros((1, 2), np.float32)}
    kept |= {"score": np.full((1, 1), 0.9, np.float32), "axis": np.array([1])}
    _save(
        onnx,
        path,
        nodes,
        [
            helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "h", "w"]),
            helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2]),
        ],
        [
            helper.make_tensor_value_info("labels", TensorProto.INT64, [1, 1]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 1, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1]),
        ],
        [numpy_helper.from_array(value, name) for name, value in kept.items()],
    )
    return path


def _save(onnx, path, nodes, images, outputs, kept=()):
    inputs = images if isinstance(images, list) else [images]
    graph = onnx.helper.make_graph(nodes, "tiny", inputs, outputs, list(kept))
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))


def colours_ir(path: Path, batch: int = 1) -> Path:
    """Write the network of `colours_onnx` as an IR for 32x64 pixels."""
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as ops

    images = ops.parameter([batch, 3, 64, 32], np.float32, name="images")
    means = ops.reduce_mean(images, np.array([2, 3]), keep_dims=False)
    means.output(0).tensor.set_names({"embedding"})
    openvino.save_model(openvino.Model([means], [images]), str(path), compress_to_fp16=False)
    return path


def fixed_boxes_ir(path: Path, boxes: np.ndarray) -> Path:
    """Write a detector that returns `boxes` (n, 5), score last, with class 0 for 64x32 pixels."""
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as ops

    images = ops.parameter([1, 3, 32, 64], np.float32, name="images")
    none = ops.multiply(ops.reduce_mean(images, np.array([0, 1, 2, 3])), np.float32(0))
    result = ops.add(ops.constant(boxes.astype(np.float32)), none)
    result.output(0).tensor.set_names({"boxes"})
    labels = ops.convert(ops.reduce_sum(ops.multiply(result, np.float32(0)), np.array([1])), "i64")
    labels.output(0).tensor.set_names({"labels"})
    openvino.save_model(openvino.Model([result, labels], [images]), str(path), False)
    return path
