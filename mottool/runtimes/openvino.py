"""The runtime `openvino`: the network converted to an OpenVINO IR, on a CPU."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from mottool.runtimes.chunks import chunked
from mottool.runtimes.conversions import converted
from mottool.runtimes.interfaces import Forward, LoadedNetwork
from mottool.runtimes.tracing import head_names, traced

__all__ = ["open_openvino"]

FILE = "network.xml"
PRECISIONS = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}


def open_openvino(network: LoadedNetwork) -> Forward:
    """Return the `forward` of the network in OpenVINO, converted on first use.

    It uses as many threads as PyTorch does, and does not bind them to cores, which several
    processes would share. Without the hint of a precision it would use bfloat16 on CPUs with units
    for it.
    """
    import openvino

    def read(folder: Path) -> Any:
        return openvino.Core().read_model(folder / FILE)

    model = converted(network, "openvino", lambda folder: _convert(network, folder), read)
    settings = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[network.compute.dtype],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,
    }
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    names = [output.get_any_name() for output in model.outputs]
    shapes = [tuple(output.shape) for output in model.outputs]
    lock = Lock()

    def run(images: Sequence[Tensor]) -> dict[str, Tensor]:
        # OpenVINO reads and writes this memory without a copy, and does not keep it alive.
        inputs = [part.float().contiguous() for part in images]
        heads = [torch.empty(shape) for shape in shapes]
        with lock:
            for i, part in enumerate(inputs):
                request.set_input_tensor(i, openvino.Tensor(part.numpy(), shared_memory=True))
            for i, head in enumerate(heads):
                request.set_output_tensor(i, openvino.Tensor(head.numpy(), shared_memory=True))
            request.infer()
        return dict(zip(names, heads, strict=True))

    return chunked(run, network.batch)


def _convert(network: LoadedNetwork, folder: Path) -> None:
    """Write the IR of the network into the folder.

    `openvino.convert_model`, which reports its use over the internet, is not called.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # The decoder must live as long as the conversion.
    decoder = TorchScriptPythonDecoder(traced(network), example_input=network.example())
    frontend = FrontEndManager().load_by_framework("pytorch")
    model = frontend.convert(frontend.load(decoder))
    width, height = network.size
    for parameter, channels in zip(model.inputs, network.channels, strict=True):
        parameter.get_node().set_partial_shape(
            openvino.PartialShape([network.batch, channels, height, width])
        )
    model.validate_nodes_and_infer_types()
    for output, name in zip(model.outputs, head_names(network), strict=True):
        output.get_tensor().set_names({name})
    openvino.save_model(model, folder / FILE, compress_to_fp16=False)
