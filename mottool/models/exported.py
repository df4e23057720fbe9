"""Networks in the files of other runtimes: ONNX, run by onnxruntime, and OpenVINO IR, by openvino.

Both packages are optional. The files contain operations on tensors, and no code that is executed.
"""

import ast
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from mottool.checkpoints.data_files import data_files
from mottool.errors import CheckpointError, SettingError
from mottool.models.device import Compute

__all__ = ["CUDA", "ExportedNetwork", "open_exported", "pixel_format"]

Floats = npt.NDArray[np.float32]
Shape = tuple[int, ...]  # 0 where a side is left open
INPUT_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
CUDA = "CUDAExecutionProvider"  # onnxruntime's name of what runs a network on a GPU
LONGEST_NAMES = 1 << 20  # characters
DOWNLOAD = "download or copy it again and compare its size with the source's"


@dataclass(frozen=True)
class ExportedNetwork:
    """A network with one input tensor of images.

    `shape` (B, 3, H, W) is that of the input; a side of any length is 0. `outputs` are the shapes
    of the outputs by name. `sha256` is that of the file together with its `data_files`. With
    `takes_bytes`, the input is uint8 with values from 0 to 255. `class_names` are those in the
    metadata of Ultralytics, by number; {} if there are none. `task` is the one there, such as
    `detect`.
    """

    path: Path
    shape: Shape
    outputs: Mapping[str, Shape]
    sha256: str
    run: Callable[[Floats], dict[str, npt.NDArray[Any]]]
    takes_bytes: bool = False
    class_names: Mapping[int, str] = field(default_factory=dict)
    task: str = ""

    def size(self, wanted: tuple[int, int] | None, usual: tuple[int, int]) -> tuple[int, int]:
        """Return the width and height of the input: that of the file, else `wanted`, else `usual`.

        Raises `SettingError` if the file has another size than `wanted`.
        """
        fixed = self.shape[3], self.shape[2]
        if not all(fixed):
            return wanted or usual
        if wanted is not None and wanted != fixed:
            problem = f"{self.path} takes {fixed[0]}x{fixed[1]} pixels only"
            fix = f"omit --input, or export the network again at {wanted[0]}x{wanted[1]}"
            raise SettingError(problem, fix)
        return fixed


def open_exported(path: Path, compute: Compute, by_openvino: bool = False) -> ExportedNetwork:
    """Open an `.onnx` file, or the `.xml` of an IR with its `.bin` in the same folder.

    ONNX runs on the GPU of `compute` if the installed onnxruntime supports it. IR runs on the CPU,
    and so does ONNX `by_openvino`. Raises `SettingError` if the package is not installed, and
    `CheckpointError` for a file that is missing or damaged, or whose input is not one tensor of
    images.
    """
    if path.suffix not in {".onnx", ".xml"}:
        fix = "give an .onnx file, or the .xml of an OpenVINO IR"
        raise CheckpointError(f"{path} is neither ONNX nor OpenVINO IR", fix)
    digest = hashlib.sha256()
    for file in [path, *data_files(path)]:
        try:
            digest.update(file.read_bytes())
        except OSError as error:
            fix = "check the path" if file == path else f"put it beside {path.name}"
            raise CheckpointError(f"cannot read {file}: {error.strerror}", fix) from error
    openvino = by_openvino or path.suffix == ".xml"
    opened = _openvino(path) if openvino else _onnx(path, compute)
    inputs, outputs, run, takes_bytes, metadata = opened
    if len(inputs) != 1 or len(inputs[0]) != 4 or inputs[0][1] not in {0, 3}:
        shapes = ", ".join("x".join(map(str, shape)) for shape in inputs)
        fix = "export it with images as its only input, batch x 3 x height x width"
        raise CheckpointError(f"{path} takes inputs of {shapes}", fix)
    names, task = _checked_names(metadata.get("names")), str(metadata.get("task", ""))
    sha256 = digest.hexdigest()
    return ExportedNetwork(path, inputs[0], outputs, sha256, run, takes_bytes, names, task)


def pixel_format(network: ExportedNetwork, given: str | None, default: str) -> str:
    """Return the pixel format of a network: the `given` one, or the default for its input.

    A network that takes bytes gets values from 0 to 255. Raises `SettingError` if it is given
    another format, whose values bytes cannot hold.
    """
    if not network.takes_bytes:
        return given or default
    if given and not given.endswith("255"):
        problem = f"{network.path} takes bytes, and {given} has values below 0 or between 0 and 1"
        raise SettingError(problem, "give rgb255 or bgr255")
    return given or ("bgr255" if default.startswith("bgr") else "rgb255")


Run = Callable[[Floats], dict[str, npt.NDArray[Any]]]
Opened = tuple[list[Shape], dict[str, Shape], Run, bool, Mapping[str, Any]]


def _onnx(path: Path, compute: Compute) -> Opened:
    runtime = _runtime("onnxruntime", path)
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors; exporters leave much that it would warn of
    providers: list[Any] = ["CPUExecutionProvider"]
    if compute.device.type == "cuda" and CUDA in runtime.get_available_providers():
        providers.insert(0, (CUDA, {"device_id": compute.device.index or 0}))
    try:
        session = runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # its errors have no class in common but this one
        raise CheckpointError(f"{path} is damaged or no ONNX file", DOWNLOAD) from error
    names = [output.name for output in session.get_outputs()]
    inputs = session.get_inputs()
    sizes = [given.name for given in inputs if _is_size(given)]
    inputs = [given for given in inputs if given.name not in sizes]
    if not inputs:
        raise CheckpointError(f"{path} takes no images", "export it with images as its input")
    first = inputs[0]
    if first.type not in INPUT_TYPES:
        fix = "export it with float32 or uint8 images"
        raise CheckpointError(f"{path} takes inputs of the type {first.type}", fix)
    kind = INPUT_TYPES[first.type]

    def run(images: Floats) -> dict[str, npt.NDArray[Any]]:
        count, _, height, width = images.shape
        size = np.tile(np.array([width, height], np.int64), (count, 1))
        fed = {first.name: images.astype(kind), **dict.fromkeys(sizes, size)}
        return dict(zip(names, session.run(names, fed), strict=True))

    metadata = session.get_modelmeta().custom_metadata_map
    return (
        [_closed(given.shape) for given in inputs],
        {output.name: _closed(output.shape) for output in session.get_outputs()},
        run,
        kind is np.uint8,
        {"names": _class_names(metadata.get("names", "")), "task": metadata.get("task", "")},
    )


def _is_size(given: Any) -> bool:
    """Return whether an input is the images' width and height (B, 2), as RT-DETR's and D-FINE's."""
    pairs = len(given.shape) == 2 and given.shape[1] == 2 and given.type == "tensor(int64)"
    return bool(pairs) and "size" in given.name.lower()


def _class_names(text: str) -> dict[int, str]:
    """Parse the class names that Ultralytics writes, such as "{0: 'person', 1: 'car'}"."""
    try:
        names = ast.literal_eval(text[:LONGEST_NAMES])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    return _checked_names(names)


def _checked_names(names: Any) -> dict[int, str]:
    """Return class names by number; {} if `names` is anything else."""
    if not isinstance(names, dict) or not all(isinstance(number, int) for number in names):
        return {}
    return {number: name for number, name in names.items() if isinstance(name, str)}


def _metadata_of_ir(path: Path, model: Any) -> Mapping[str, Any]:
    """Return the class names and the task that Ultralytics writes beside an IR or into it.

    They are in `metadata.yaml`, in the folder of the `.xml`, or in its `model_info`, where blanks
    separate them and are underscores inside.
    """
    try:
        with path.with_name("metadata.yaml").open(encoding="utf-8") as file:
            document = yaml.safe_load(file.read(LONGEST_NAMES))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        document = None
    document = document if isinstance(document, dict) else {}
    if _checked_names(document.get("names")) or not model.has_rt_info(["model_info", "labels"]):
        return document
    labels = model.get_rt_info(["model_info", "labels"]).astype(str).split()
    names = {number: label.replace("_", " ") for number, label in enumerate(labels)}
    return {**document, "names": names}


def _openvino(path: Path) -> Opened:
    runtime = _runtime("openvino", path)
    start = path.read_bytes()[:4096] if path.suffix == ".xml" else b"<net "
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html", b"<head")):
        fix = "download the file itself, which the page links to"
        raise CheckpointError(f"{path} is a web page, not a weights file", fix)
    if b"<net " not in start:
        raise CheckpointError(f"{path} is no OpenVINO IR", DOWNLOAD)
    try:
        core = runtime.Core()
        model = core.read_model(str(path))
        compiled = core.compile_model(model, "CPU")
    except RuntimeError as error:
        raise CheckpointError(f"{path} or its .bin is damaged", DOWNLOAD) from error
    request = compiled.create_infer_request()
    names = [output.get_any_name() for output in compiled.outputs]

    def run(images: Floats) -> dict[str, npt.NDArray[Any]]:
        request.infer([images])
        return {name: request.get_tensor(name).data.copy() for name in names}

    def shape(port: Any) -> Shape:
        sides = port.get_partial_shape()
        return tuple(side.get_length() if side.is_static else 0 for side in sides)

    return (
        [shape(port) for port in compiled.inputs],
        {name: shape(port) for name, port in zip(names, compiled.outputs, strict=True)},
        run,
        any(port.get_element_type().get_type_name() == "u8" for port in compiled.inputs),
        _metadata_of_ir(path, model),
    )


def _runtime(name: str, path: Path) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        fix = f"install it: pip install {name}"
        raise SettingError(f"{path} needs the package {name}", fix) from error


def _closed(sides: Sequence[object]) -> Shape:
    """Return a shape with 0 for sides without a fixed length."""
    return tuple(side if isinstance(side, int) else 0 for side in sides)
