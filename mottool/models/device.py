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
        """Parse `auto`, `cpu`, `cuda` or `cuda:N`, and one of `PRECISIONS`.

        `auto` is the first GPU, or the CPU without one. Raises `SettingError` if the machine lacks
        the device.
        """
        return cls(_device(device), PRECISIONS[precision])

    def autocast(self) -> torch.autocast:
        """Return the context in which networks are called."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not torch.float32)

    def wait(self) -> None:
        """Wait for queued work, so that it can be timed."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if re.fullmatch(r"cpu|cuda(:\d+)?", name) is None:
        raise SettingError(f"there is no device {name!r}", "give auto, cpu, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        fix = "give --device cpu, or install a torch and a driver that see the GPU"
        raise SettingError(f"this machine has no {name} that torch can use", fix)
    return device
