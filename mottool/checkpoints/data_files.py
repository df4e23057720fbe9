"""The files beside a checkpoint that hold its tensors."""

from pathlib import Path

__all__ = ["data_files"]


def data_files(checkpoint: Path) -> list[Path]:
    """Return the files without which a checkpoint is not complete.

    These are the `.bin` of OpenVINO's `.xml`, which must exist, and what exists of an ONNX file's
    external data, under the names that PyTorch and Optimum give it.
    """
    if checkpoint.suffix == ".xml":
        return [checkpoint.with_suffix(".bin")]
    if checkpoint.suffix == ".onnx":
        names = f"{checkpoint.name}.data", f"{checkpoint.name}_data"
        return [path for name in names if (path := checkpoint.with_name(name)).is_file()]
    return []
