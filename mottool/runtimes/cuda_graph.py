"""The runtime `cuda-graph`: the network's operations captured once, and replayed by one launch."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Lock

import torch
from torch import Tensor

from mottool.errors import SettingError
from mottool.models.backbones.deformable import DeformableConv2d
from mottool.runtimes.agreement import agree, eager_heads
from mottool.runtimes.chunks import chunked
from mottool.runtimes.interfaces import Forward, LoadedNetwork
from mottool.runtimes.precision import cast_weights, shared_copy
from mottool.runtimes.registry import EAGER

__all__ = ["graphed", "open_cuda_graph"]

CAPTURING = Lock()  # PyTorch captures one graph at a time in a process
WARM_UP = 3  # calls before a capture: PyTorch's number, see torch.cuda.make_graphed_callables

Heads = dict[str, Tensor]
# Calls a function, and returns its result with a function that computes the same result again, in
# the same memory.
Capture = Callable[[Callable[[], Heads]], tuple[Heads, Callable[[], None]]]


def open_cuda_graph(network: LoadedNetwork) -> Forward:
    """Return the `forward` of the network as a CUDA graph, which is captured here.

    Raises `SettingError` if its heads differ from those of eager PyTorch.
    """
    return graphed(network, partial(_capture, network.compute.device))


def graphed(network: LoadedNetwork, capture: Capture) -> Forward:
    """Return the `forward` of the network, which `capture` captures with its fixed input.

    Each call copies its images to the memory of the captured input, and the heads from that of the
    captured ones, because they are decoded while the next images are computed. All calls must be on
    one stream. Raises `SettingError` if the heads of other images differ from those of eager
    PyTorch: a graph lacks what a library launches on a stream of its own.
    """
    compute = network.compute
    captured = cast_weights(_without_other_streams(network))
    inputs = captured.example()

    @torch.inference_mode()
    def heads_of_inputs() -> Heads:
        # A weight in autocast's cache would be freed while the graph still reads it.
        with compute.autocast(cache=False):
            return captured.heads(*inputs)

    captured_heads, replay = capture(heads_of_inputs)
    lock = Lock()

    def run(images: Sequence[Tensor]) -> Heads:
        with lock:
            for memory, part in zip(inputs, images, strict=True):
                memory.copy_(part)
            replay()
            return {name: head.clone() for name, head in captured_heads.items()}

    forward = chunked(run, network.batch)
    _check(network, forward)
    return forward


def _without_other_streams(network: LoadedNetwork) -> LoadedNetwork:
    """Return the network with deformable convolutions that launch all on the current stream.

    Those of torchvision launch on the legacy stream, which no graph captures.
    """
    if not any(isinstance(part, DeformableConv2d) for part in network.module.modules()):
        return network
    module = shared_copy(network.module)
    for part in module.modules():
        if isinstance(part, DeformableConv2d):
            part.by_sampling = True
    return replace(network, module=module)


@torch.inference_mode()
def _check(network: LoadedNetwork, forward: Forward) -> None:
    """Raise `SettingError` unless the heads of images that were not captured are those of PyTorch.

    The captured images would give the heads of the capture even if the graph lacked operations.
    """
    images = [1 - part for part in network.example()]
    if agree(forward(*images), *eager_heads(network, images)):
        return
    problem = f"cuda-graph cannot run {network.name}: its heads differ from those of {EAGER}"
    fix = f"give --runtime {EAGER}, and --overwrite if the cache was begun with cuda-graph"
    raise SettingError(problem, fix)


def _capture(
    device: torch.device, function: Callable[[], Heads]
) -> tuple[Heads, Callable[[], None]]:
    """Capture the kernels of a function in a CUDA graph; return its result and the replay.

    The function is called on a side stream first: libraries allocate memory at their first calls,
    which a capture does not allow. Other threads may use the device during the capture.
    """
    with CAPTURING, torch.cuda.device(device):
        main, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(main)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                function()
        main.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            heads = function()
    return heads, graph.replay
