"""Reference figures: the small ones kept in tests/golden, the full ones in ../shared when there.

The made-up weights and the made-up image follow from formulas, so that only what the formulas
cannot give is stored (tests/golden/README.md says how each file was made).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from torch import Tensor

HERE = Path(__file__).parents[1] / "golden"
SHARED = Path(__file__).parents[3] / "shared"


def shared(path: str) -> Path:
    """A file or folder of the reference data beside the project, or a skipped test."""
    if not (SHARED / path).exists():
        pytest.skip(f"the reference data (../shared/{path}) is not on this machine")
    return SHARED / path


def read_npz(path: Path, prefix: str = "") -> dict[str, np.ndarray]:
    """Read the arrays of an `.npz` file whose names begin with `prefix`; leave the prefix out.

    The file is closed again. An open one is reported as a `ResourceWarning` whenever Python
    collects it, which may be during another test.
    """
    with np.load(path) as archive:
        names = [name for name in archive.files if name.startswith(prefix)]
        return {name.removeprefix(prefix): archive[name] for name in names}


def seeded(text: str) -> np.random.Generator:
    """The generator that the reference data ties to a text."""
    return np.random.default_rng(
        int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    )


def fill(name: str, shape: tuple[int, ...], seed: int, overrides: Mapping[str, Any]) -> np.ndarray:
    """The made-up value of one tensor: its override, or a draw by the kind of its name."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name in overrides:
        return np.asarray(overrides[name], np.float32).reshape(shape)
    draw = seeded(f"{seed}:{name}")
    count = int(np.prod(shape))
    if name.endswith("running_mean"):
        value = 0.05 * draw.standard_normal(count)
    elif name.endswith("running_var"):
        value = 0.8 + 0.4 * draw.random(count)
    elif len(shape) >= 2:
        value = np.sqrt(2.0 / np.prod(shape[1:])) * draw.standard_normal(count)
    elif len(shape) == 1 and name.endswith("weight"):
        value = 0.9 + 0.2 * draw.random(count)
    else:
        value = 0.02 * draw.standard_normal(count)
    value = value.reshape(shape) * float(overrides.get(f"{name}@scale", 1.0))
    return value.astype(np.float32)


def synth_image(width: int = 480, height: int = 270) -> np.ndarray:
    """The made-up frame: (height, width, 3) uint8 BGR, by a formula of x, y and channel."""
    y, x, c = np.ogrid[:height, :width, :3]
    checks = 60 * ((x // 24 + y // 40) % 2)
    value = x * (1 + c) + y * (3 - c) + (x * y) // (37 + 10 * c) + checks
    return (value % 256).astype(np.uint8)


def made_up(model: str, seed: int = 0) -> dict[str, "Tensor"]:
    """The tensors of a checkpoint, under the authors' names."""
    import torch

    overrides = read_npz(HERE / model / f"overrides_seed{seed}.npz")
    shapes = json.loads((HERE / model / "tensors.json").read_text())
    return {name: torch.from_numpy(fill(name, tuple(s), seed, overrides)) for name, s in shapes}
