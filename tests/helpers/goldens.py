"""Reference figures: small ones in tests/golden, and full ones in ../shared if it exists.

The synthetic weights and the synthetic image are computed by formulas; only values that the
formulas cannot give are stored (tests/golden/README.md says how each file was made).
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
    """Return a path in the reference data beside the project; skip the test without it."""
    if not (SHARED / path).exists():
        pytest.skip(f"not compared: the reference data (../shared/{path}) is not on this machine")
    return SHARED / path


def read_npz(path: Path, prefix: str = "") -> dict[str, np.ndarray]:
    """Read the arrays of an `.npz` file whose names begin with `prefix`; remove the prefix.

    The file is closed, because Python reports an open one as a `ResourceWarning` when it is
    collected, possibly during another test.
    """
    with np.load(path) as archive:
        names = [name for name in archive.files if name.startswith(prefix)]
        return {name.removeprefix(prefix): archive[name] for name in names}


def seeded(text: str) -> np.random.Generator:
    """Return the random generator that the reference data uses for a text."""
    return np.random.default_rng(
        int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    )


def fill(name: str, shape: tuple[int, ...], seed: int, overrides: Mapping[str, Any]) -> np.ndarray:
    """Return the synthetic value of one tensor: its override, or random values by its name."""
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
    """Compute the synthetic frame (height, width, 3) uint8 BGR from x, y and channel."""
    y, x, c = np.ogrid[:height, :width, :3]
    checks = 60 * ((x // 24 + y // 40) % 2)
    value = x * (1 + c) + y * (3 - c) + (x * y) // (37 + 10 * c) + checks
    return (value % 256).astype(np.uint8)


def made_up(model: str, seed: int = 0) -> dict[str, "Tensor"]:
    """Return the synthetic tensors of a checkpoint, under the authors' names."""
    import torch

    overrides = read_npz(HERE / model / f"overrides_seed{seed}.npz")
    shapes = json.loads((HERE / model / "tensors.json").read_text())
    return {name: torch.from_numpy(fill(name, tuple(s), seed, overrides)) for name, s in shapes}
