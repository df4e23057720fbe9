"""The runtimes `cuda-graph…`: a network's operations captured once, and replayed by one launch."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Lock

import torch
from torch import Tensor, nn

from mottool.errors import SettingError
from mottool.models.backbones.deformable import DeformableConv2d
from mottool.runtimes.agreement import agree, eager_heads
from mottool.runtimes.chunks import chunked
from mottool.runtimes.eager import channels_last
from mottool.runtimes.interfaces import Forward, LoadedNetwork
from mottool.runtimes.precision import cast_weights, shared_copy
from mottool.runtimes.registry import EAGER

__all__ = ["graphed", "open_cuda_graph", "open_cuda_graph_channels_last"]

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


def open_cuda_graph_channels_last(network: LoadedNetwork) -> Forward:
    """Return a graph as `open_cuda_graph` does, of images in the memory order (B, H, W, C).

    Tensor cores convolve 16-bit values in this order only; cuDNN reorders the input and the output
    of every other convolution.
    """
    return graphed(network, partial(_capture, network.compute.device), by_pixel=True)


def graphed(network: LoadedNetwork, capture: Capture, by_pixel: bool = False) -> Forward:
    """Return the `forward` of the network, which `capture` captures with its fixed input.

    With `by_pixel`, the network computes images in the memory order (B, H, W, C). All calls must be
    on one stream. Raises `SettingError` if the heads of other images differ from those of eager
    PyTorch: a graph lacks what a library launches on a stream of its own.
    """
    compute = network.compute
    captured = cast_weights(_without_other_streams(network))
    inputs = captured.example()
    heads_of = channels_last(captured.heads) if by_pixel else captured.heads

    @torch.inference_mode()
    def heads_of_inputs() -> Heads:
        # A weight in autocast's cache would be freed while the graph still reads it.
        with compute.autocast(cache=False):
            return heads_of(*inputs)

    graph = _Graph(captured.module, inputs, *capture(heads_of_inputs))
    forward = chunked(graph.run, network.batch)
    _check(network, forward)
    return forward


class _Graph:
    """A captured network, with all memory that its graph uses: a graph owns none but its own.

    `module` holds the weights, `inputs` the images and `heads` the results of each replay.
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Sequence[Tensor],
        heads: Heads,
        replay: Callable[[], None],
    ) -> None:
        self.module, self.inputs, self.heads, self.replay = module, inputs, heads, replay
        self._lock = Lock()

    def run(self, images: Sequence[Tensor]) -> Heads:
        """Return the heads of images.

        They are copied, because they are decoded while the next images are computed.
        """
        with self._lock:
            for memory, part in zip(self.inputs, images, strict=True):
                memory.copy_(part)
            self.replay()
            return {name: head.clone() for name, head in self.heads.items()}


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
        # PyTorch leaves the thread on the side stream if it cannot end a capture.
        with torch.cuda.stream(main):
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    function()
            main.wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                heads = function()
    return heads, graph.replay
