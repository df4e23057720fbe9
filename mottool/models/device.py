"""Device and precision of networks."""

import re
from dataclasses import dataclass

import torch

from mottool.errors import SettingError

__all__ = ["PRECISIONS", "Compute"]

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
        `SettingError` if the machine lacks the device.
        """
        return cls(_device(device), PRECISIONS[precision])

    def autocast(self) -> torch.autocast:
        """Return the context in which networks are called."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not torch.float32)

    def wait(self) -> None:
        """Wait for queued work, so that it can be timed."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


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
            raise SettingError(f"{text} is not visible to torch", f"give one of {known}, or cpu")
        raise SettingError("no CUDA device is visible to torch", fix)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SettingError("no MPS device is visible to torch", "give --device cpu")
    return device
