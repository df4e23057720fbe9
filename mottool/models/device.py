"""Device and precision of networks; copies to a device, and clocks of what it computes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mottool.errors import DeviceError, SettingError

__all__ = ["PRECISIONS", "Compute", "DeviceTimer", "SideStream", "to_host", "uploadable"]

Scalar = TypeVar("Scalar", bound=np.generic)
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Compute:
    """A device, and the precision of convolutions and matrix products on it.

    Operations sensitive to precision (normalisation, softmax, decoding) stay in float32.
    PyTorch's autocast chooses them.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32

    @classmethod
    def named(cls, device: str, precision: str = "fp32") -> "Compute":
        """Parse `auto`, `cpu`, `cuda`, `cuda:N`, `N` or `mps`, and one of `PRECISIONS`.

        `auto` is the first CUDA device, or the CPU without one; `N` is `cuda:N`. Raises
        `SettingError`, and `DeviceError` if the machine lacks the device.
        """
        return cls(_device(device), PRECISIONS[precision])

    @contextmanager
    def autocast(self, cache: bool = True) -> Iterator[None]:
        """Enter the context in which networks are called.

        With `cache`, a weight that is used several times in the context is cast once. Convolutions
        of float32 are computed in float32, which is not PyTorch's default on CUDA devices.
        """
        enabled = self.dtype is not torch.float32
        exact = _WITHOUT_TF32.entered() if self.device.type == "cuda" else nullcontext()
        cast = torch.autocast(self.device.type, self.dtype, enabled=enabled, cache_enabled=cache)
        with exact, cast:
            yield

    @contextmanager
    def within_memory(self) -> Iterator[None]:
        """Convert the error of a device whose memory is full to a `SettingError`."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            problem = f"the memory of the device {self.device} is too small, or in use by others"
            fix = "give a smaller --batch or --input, or stop what else runs there"
            raise SettingError(problem, fix) from error

    def warning(self) -> str:
        """Return a message if the CPU is to compute in bfloat16 without units for it; else ""."""
        if self.device.type != "cpu" or self.dtype is not torch.bfloat16:
            return ""
        known: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        units = known.get("avx512_bf16") or known.get("amx_bf16")
        if units or known.get("architecture") != "x86_64":
            return ""
        return (
            "this CPU has no units for bfloat16 (avx512_bf16, amx_bf16): --precision bf16 is "
            "slower than fp32, with JDE ten times (25 s a frame instead of 2.6)"
        )

    def wait(self) -> None:
        """Wait for queued work, so that it can be timed."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def upload(self, arrays: Sequence[npt.NDArray[Any]]) -> Tensor:
        """Copy arrays of the same shape to the device, stacked: (B, ...).

        The copy to a CUDA device starts from pinned memory, and the caller does not wait for it.
        """
        if len(arrays) == 1 and self.device.type == "cpu":
            return torch.from_numpy(arrays[0])[None]
        parts = [torch.from_numpy(array) for array in arrays]
        shape, pinned = (len(parts), *parts[0].shape), self.device.type == "cuda"
        stacked = torch.empty(shape, dtype=parts[0].dtype, pin_memory=pinned)
        torch.stack(parts, out=stacked)
        return stacked.to(self.device, non_blocking=pinned)


class _WithoutTF32:
    """Switches TF32 off for convolutions on CUDA devices while any thread is inside.

    TF32 rounds the inputs of a convolution to 11 significant bits, float16's. PyTorch has one
    switch for all threads, and it is on by default.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._before = True

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Compute convolutions without TF32 in the block."""
        with self._lock:
            if not self._inside:
                self._before = torch.backends.cudnn.allow_tf32
                torch.backends.cudnn.allow_tf32 = False
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    torch.backends.cudnn.allow_tf32 = self._before


_WITHOUT_TF32 = _WithoutTF32()


class DeviceTimer:
    """Measures the seconds that a device spends on work which is queued between two calls.

    On a CUDA device neither call waits for the work.
    """

    def __init__(self, compute: Compute) -> None:
        """Start the clock."""
        self._compute = compute
        self._begin = self._record()
        self._end = self._begin

    def stop(self) -> None:
        """Stop the clock when the work queued so far is done."""
        if self._compute.device.type != "cuda":
            self._compute.wait()
        self._end = self._record()

    def _record(self) -> Any:
        """Return the present time, or an event that a CUDA device records when it gets there."""
        if self._compute.device.type != "cuda":
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's
        event.record(torch.cuda.current_stream(self._compute.device))
        return event

    def seconds(self) -> float:
        """Wait for the work and return the seconds between the two calls."""
        if self._compute.device.type != "cuda":
            return float(self._end - self._begin)
        self._end.synchronize()
        return float(self._begin.elapsed_time(self._end)) / 1000


class SideStream:
    """A CUDA stream for work beside that of the network: its inputs, and the decoding of its heads.

    What the block reads must be complete before it is entered; for heads, a `DeviceTimer` says so.
    Its results are to be copied to the host inside, or to be passed to `handed_over`. On other
    devices it does nothing.
    """

    def __init__(self, compute: Compute) -> None:
        """Create the stream."""
        self._stream: torch.cuda.Stream | None = None
        if compute.device.type == "cuda":
            self._stream = torch.cuda.Stream(compute.device)  # type: ignore[no-untyped-call]  # torch's

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Queue what the block computes on this stream."""
        if self._stream is None:
            yield
            return
        with torch.cuda.stream(self._stream):
            yield

    def handed_over(self, tensor: Tensor) -> Tensor:
        """Let the caller's stream use a tensor of this stream when it is complete; return it.

        Its memory is not used again before the work that the caller's stream has queued when the
        tensor is freed.
        """
        if self._stream is not None:
            current = torch.cuda.current_stream(self._stream.device)
            current.wait_stream(self._stream)
            tensor.record_stream(current)
        return tensor


def uploadable(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return an array as `Compute.upload` needs it: contiguous and writable; copied if it is not.

    PyTorch reads no negative strides, and warns of memory that it must not write.
    """
    return np.require(array, requirements=("C", "W"))


def to_host(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copy tensors of one device to the host, all of them in one transfer.

    Tensors on the CPU are returned as they are.
    """
    if not tensors or tensors[0].device.type == "cpu":
        return list(tensors)
    return unpack(pack(tensors).cpu(), tensors)


def pack(tensors: Sequence[Tensor]) -> Tensor:
    """Join the bytes of tensors, those with the widest elements first: (n,) uint8."""
    ordered = sorted(tensors, key=lambda tensor: -tensor.element_size())
    return torch.cat([tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in ordered])


def unpack(packed: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return what `pack` has joined as tensors with the shapes and types of `tensors`.

    Widest elements come first, so that every tensor is aligned.
    """
    order = sorted(range(len(tensors)), key=lambda index: -tensors[index].element_size())
    sizes = [tensors[index].numel() * tensors[index].element_size() for index in order]
    unpacked: dict[int, Tensor] = {}
    for index, part in zip(order, torch.split(packed, sizes), strict=True):
        like = tensors[index]
        unpacked[index] = part.view(like.dtype).reshape(like.shape)
    return [unpacked[index] for index in range(len(tensors))]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    text = name.lower()
    text = f"cuda:{text}" if text.isdecimal() else text
    if re.fullmatch(r"cpu|mps|cuda(:\d+)?", text) is None:
        fix = "give auto, cpu, cuda, cuda:1 (or 1 for short), or mps"
        raise SettingError(f"there is no device {name!r}", fix)
    device = torch.device(text)
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        fix = "give --device cpu, or install a torch and a driver that see the GPU"
        if count:
            known = ", ".join(f"cuda:{number}" for number in range(count))
            raise DeviceError(f"{text} is not visible to torch", f"give one of {known}, or cpu")
        raise DeviceError("no CUDA device is visible to torch", fix)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("no MPS device is visible to torch", "give --device cpu")
    return device
