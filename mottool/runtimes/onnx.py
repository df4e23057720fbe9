"""The runtime `onnx`: the network converted to an ONNX file, run by ONNX Runtime."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from mottool.errors import SettingError
from mottool.models.exported import CUDA
from mottool.runtimes.chunks import chunked
from mottool.runtimes.conversions import converted
from mottool.runtimes.interfaces import Forward, LoadedNetwork
from mottool.runtimes.registry import EAGER
from mottool.runtimes.tracing import FlatHeads, head_names

__all__ = ["open_onnx"]

FILE = "network.onnx"
OPSET = 19  # the first one with deformable convolutions
SPINNING = "session.intra_op.allow_spinning"  # threads that spin take cores from decoding


def open_onnx(network: LoadedNetwork) -> Forward:
    """Return the `forward` of the network in ONNX Runtime, converted on first use.

    It uses as many threads as PyTorch does, and the GPU if the network is on one. Raises
    `SettingError` if the installed package has no support for it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; the rest is advice to the exporter
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry(SPINNING, "0")
    providers: list[Any] = ["CPUExecutionProvider"]
    device = network.compute.device
    if device.type == "cuda":
        if CUDA not in onnxruntime.get_available_providers():
            fix = f"install it: pip install onnxruntime-gpu, or give --runtime {EAGER}"
            raise SettingError("the installed onnxruntime does not support CUDA", fix)
        providers.insert(0, (CUDA, {"device_id": device.index or 0}))

    def read(folder: Path) -> Any:
        return onnxruntime.InferenceSession(str(folder / FILE), options, providers=providers)

    session = converted(network, "onnx", lambda folder: _convert(network, folder), read)
    inputs = [given.name for given in session.get_inputs()]
    names = [output.name for output in session.get_outputs()]
    lock = Lock()

    def run(images: Sequence[Tensor]) -> dict[str, Tensor]:
        arrays = [part.float().contiguous().cpu().numpy() for part in images]
        with lock:
            heads = session.run(names, dict(zip(inputs, arrays, strict=True)))
        tensors = [torch.from_numpy(head).to(device) for head in heads]
        return dict(zip(names, tensors, strict=True))

    return chunked(run, network.batch)


def _convert(network: LoadedNetwork, folder: Path) -> None:
    """Write the ONNX file of the network into the folder.

    The exporter by tracing needs no package beside onnx.
    """
    images = network.example()
    exporter: Any = torch.onnx
    with _operators(exporter):
        exporter.export(
            FlatHeads(network),
            images,
            str(folder / FILE),
            input_names=[f"images{i}" for i in range(len(images))],
            output_names=head_names(network),
            opset_version=OPSET,
            dynamo=False,
        )


@contextmanager
def _operators(exporter: Any) -> Iterator[None]:
    """Let the exporter convert the operators that it does not know, and print no graphs."""
    operators = {
        "torchvision::deform_conv2d": _deformable,
        "aten::adaptive_avg_pool2d": _adaptive_mean,
    }
    for name, convert in operators.items():
        exporter.register_custom_op_symbolic(name, convert, OPSET)
    # It prints thousands of lines of a network that cannot be converted, whatever its settings.
    silent = patch.object(torch._C, "_jit_onnx_log", lambda *values: None, create=True)
    try:
        with silent:
            yield
    finally:
        for name in operators:
            exporter.unregister_custom_op_symbolic(name, OPSET)


def _deformable(
    graph: Any, images: Any, weight: Any, offset: Any, mask: Any, bias: Any, *fixed: Any
) -> Any:
    """Return ONNX's operator for the call of `deform_conv2d` in `models.backbones.deformable`.

    All its convolutions are 3x3 with stride 1, padding 1 and one group, which `fixed` says again.
    """
    return graph.op(
        "DeformConv",
        *(images, weight, offset, bias, mask),
        kernel_shape_i=[3, 3],
        pads_i=[1, 1, 1, 1],
    )


def _adaptive_mean(graph: Any, images: Any, size: Any) -> Any:
    """Return the mean of each cell of a grid as two products with matrices.

    ONNX has no such operator, which the reciprocal network of CSTrack uses. Cells of a side of n
    cells of `length` elements begin at floor(i length / n) and end at ceil((i + 1) length / n).
    """
    height, width = images.type().sizes()[-2:]
    rows, columns = (int(value) for value in size.node().t("value"))
    across = graph.op("MatMul", images, _constant(graph, _means(width, columns).T))
    return graph.op("MatMul", _constant(graph, _means(height, rows)), across)


def _means(length: int, cells: int) -> Tensor:
    """Return the matrix (cells, length) that maps a side of an image to the means of its cells."""
    means = torch.zeros(cells, length)
    for cell in range(cells):
        begin, end = cell * length // cells, -(-(cell + 1) * length // cells)
        means[cell, begin:end] = 1 / (end - begin)
    return means


def _constant(graph: Any, value: Tensor) -> Any:
    return graph.op("Constant", value_t=value.contiguous())
