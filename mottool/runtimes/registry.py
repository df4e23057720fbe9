"""Runtimes by name: one entry each. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

__all__ = [
    "AUTO",
    "EAGER",
    "RUNTIMES",
    "VARIABLE",
    "RuntimeEntry",
    "measured_runtimes",
    "recorded_runtime",
    "runtimes_help",
    "versions",
]

AUTO = "auto"
EAGER = "torch"
PYTORCH = ("torch", "torchvision")  # the packages whose code networks consist of
VARIABLE = "MOTTOOL_RUNTIME"  # names the runtime that `auto` stands for


@dataclass(frozen=True)
class RuntimeEntry:
    """A runtime that a user can name.

    `title` describes it in the help text. `open` is `module:function`, which is called with a
    `mottool.runtimes.interfaces.LoadedNetwork` and returns its `Forward`; it is imported when it is
    used. `packages` must be installed beside torch. `devices` and `precisions` are those that it
    supports. `auto` measures it only if `measured`.
    """

    title: str
    open: str
    packages: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    precisions: tuple[str, ...] = ("fp32", "fp16", "bf16")
    measured: bool = True

    def missing(self) -> list[str]:
        """Return the packages that are not installed; none is imported."""
        return [package for package in self.packages if find_spec(package) is None]


ANY = ("cpu", "cuda", "mps")
RUNTIMES = {
    EAGER: RuntimeEntry("PyTorch as it is", "mottool.runtimes.eager:open_torch", devices=ANY),
    "channels-last": RuntimeEntry(
        "PyTorch with images in the memory order NHWC",
        "mottool.runtimes.eager:open_channels_last",
        devices=("cpu", "cuda"),
    ),
    "compiled": RuntimeEntry(
        "torch.compile, which takes minutes to start and needs a C++ compiler",
        "mottool.runtimes.compiled:open_compiled",
        devices=("cpu", "cuda"),
        measured=False,
    ),
    "cuda-graph": RuntimeEntry(
        "PyTorch captured in a CUDA graph, for NVIDIA GPUs",
        "mottool.runtimes.cuda_graph:open_cuda_graph",
        devices=("cuda",),
    ),
    "cuda-graph-channels-last": RuntimeEntry(
        "the same with images in the memory order NHWC",
        "mottool.runtimes.cuda_graph:open_cuda_graph_channels_last",
        devices=("cuda",),
    ),
    "onnx": RuntimeEntry(
        "ONNX Runtime",
        "mottool.runtimes.onnx:open_onnx",
        packages=("onnxruntime", "onnx"),
        devices=("cpu", "cuda"),
        precisions=("fp32",),
    ),
    "openvino": RuntimeEntry(
        "OpenVINO, for CPUs", "mottool.runtimes.openvino:open_openvino", packages=("openvino",)
    ),
}


def measured_runtimes(device: str) -> list[str]:
    """Return the runtimes that `auto` measures on a kind of device, installed or not."""
    return [name for name, each in RUNTIMES.items() if each.measured and device in each.devices]


def runtimes_help() -> str:
    """Return the runtimes with what each is, for the help text."""
    return "; ".join(f"{name}, {entry.title}" for name, entry in RUNTIMES.items())


def recorded_runtime(settings: Mapping[str, Any], key: str = "runtime") -> str:
    """Return the runtime in the settings of an existing cache; "" for {}, of no cache.

    Caches of versions without runtimes have no such key: PyTorch computed them.
    """
    return str(settings.get(key, EAGER)) if settings else ""


def versions(name: str) -> dict[str, str]:
    """Return the versions of PyTorch and of the runtime's packages; "" for one not installed."""
    return {package: _version(package) for package in (*PYTORCH, *RUNTIMES[name].packages)}


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow; help does not need it

    try:
        return version(package)
    except PackageNotFoundError:
        return ""
