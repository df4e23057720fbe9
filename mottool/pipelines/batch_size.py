"""Choose how many frames share a forward pass of a network."""

from collections import deque
from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor

from mottool.models.device import Compute
from mottool.models.interfaces import Network

__all__ = ["fastest_batch", "time_of_batches"]

LARGEST = 32
GAIN = 1.05  # by which a frame must become faster for twice the memory
CALLS = 3  # of each size; the first one loads kernels


def fastest_batch(seconds: Callable[[int], float]) -> int:
    """Return the batch size, a power of two, that takes the least time a frame.

    `seconds` returns those of a batch. Larger sizes are tried until one hardly helps, or raises
    `torch.OutOfMemoryError`.
    """
    best, of_frame = 1, seconds(1)
    size = 2
    while size <= LARGEST:
        try:
            faster = seconds(size) / size
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        if faster * GAIN > of_frame:
            break
        best, of_frame, size = size, faster, 2 * size
    return best


def time_of_batches(
    network: Network, width: int, height: int, compute: Compute
) -> Callable[[int], float]:
    """Return a function that measures the seconds of a batch of black frames on the device.

    The heads of the batch before stay in memory, as they do while its people are decoded.
    """

    @torch.inference_mode()
    def seconds(size: int) -> float:
        images = torch.zeros(size, 3, height, width, device=compute.device)
        times, kept = list[float](), deque[dict[str, Tensor]](maxlen=2)
        for _ in range(CALLS):
            start = perf_counter()
            with compute.autocast():
                kept.append(network.forward(images))
            compute.wait()
            times.append(perf_counter() - start)
        return min(times)

    return seconds
