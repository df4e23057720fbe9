"""Tolerances for comparing our float32 results with the authors' stored ones.

A stored figure was computed in float32, and rounding errors differ between processors.
`tests/golden/precision.toml` holds the distance of each figure from the same network computed in
float64, and the tolerance that follows from it.

    PYTHONPATH=.:tests python tests/helpers/precision.py   measures them and writes the table
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch
from goldens import HERE
from torch import Tensor, nn

__all__ = ["Figure", "check_distances", "head_figure", "hold", "in_float64", "reach", "undecided"]

TABLE = HERE / "precision.toml"
MODULES = [f"models.test_{name}" for name in ("cstrack", "fairmot", "jde", "otrack", "outrack")]
MODULES += ["pipelines.embedders.test_osnet"]
HEADING = """\
# The distance of the authors' float32 figures from the same network computed in float64, and the
# tolerance of ours that follows. README.md says how they are measured.
# Written by `PYTHONPATH=.:tests python tests/helpers/precision.py`: one table for each golden
# folder and input.
"""


@dataclass(frozen=True)
class Figure:
    """Our array and the authors' array of the same shape.

    `atol` and `rtol` are the tolerances for figures of the authors with small rounding errors.
    """

    name: str
    ours: np.ndarray
    theirs: np.ndarray
    atol: float = 2e-3
    rtol: float = 1e-3

    def distance(self) -> float:
        """Return the largest absolute difference."""
        return float(np.abs(self.ours - self.theirs).max(initial=0))

    def tolerance(self, distance: float) -> float:
        """Return the absolute tolerance of float32 figures; `ours` is computed in float64.

        If two float32 results are each within `distance` of the float64 one, they are within twice
        that of each other. This is the tolerance if the usual one is smaller for any value.
        """
        twice = 2 * np.abs(self.ours - self.theirs)
        enough = twice <= self.atol + self.rtol * np.abs(self.theirs)
        return self.atol if enough.all() else 2 * distance


def in_float64(network: nn.Module) -> nn.Module:
    """Copy a network with its weights in float64."""
    return deepcopy(network).double()


def head_figure(head: Tensor, name: str, golden: Mapping[str, np.ndarray]) -> Figure:
    """Return the figure of a raw head (1, C, h, w): subsampled values, minimum and maximum.

    Check that mean, deviation and norm of the whole head equal the authors'.
    """
    assert head.shape == tuple(golden[f"raw/{name}/shape"])
    (thinned,) = (key for key in golden if key.startswith(f"raw/{name}/sub"))
    step = int(thinned.rpartition("sub")[2])
    h, (*whole, lowest, highest) = head.double().numpy(), golden[f"raw/{name}/stats"]
    stats = h.mean(), h.std(), np.sqrt((h**2).sum())
    np.testing.assert_allclose(stats, whole, rtol=1e-4, atol=1e-4, err_msg=name)
    ours = np.append(h[:, :, ::step, ::step], (h.min(), h.max()))
    return Figure(name, ours, np.append(golden[thinned], (lowest, highest)))


@cache
def _table() -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    return tomllib.loads(TABLE.read_text())


def hold(figures: Iterable[Figure], folder: str, image: str) -> None:
    """Check our float32 figures of one input against the authors', each with its tolerance."""
    for figure in figures:
        atol = _table()[folder][image][figure.name]["tolerance"]
        np.testing.assert_allclose(
            figure.ours, figure.theirs, rtol=figure.rtol, atol=atol, err_msg=figure.name
        )


def check_distances(figures: Iterable[Figure], folder: str, image: str) -> None:
    """Check that our float64 figures have the table's distances from the authors' figures.

    Rounding errors of float64 are negligible, so the distances are the same on every processor
    and reveal any difference between the networks.
    """
    measured = {figure.name: figure for figure in figures}
    rows = _table()[folder][image]
    assert rows.keys() == measured.keys()
    for name, row in rows.items():
        distance, tolerance = row["distance"], row["tolerance"]
        # Decoding rounds to float32, which moves large boxes by up to 1e-4 of a pixel.
        assert measured[name].distance() == pytest.approx(distance, rel=0.02, abs=2e-5), name
        assert tolerance == pytest.approx(measured[name].tolerance(distance), rel=1e-3), name


def reach(values: np.ndarray, folder: str, image: str, name: str) -> np.ndarray:
    """Return the tolerance of each of our `values` against the authors'."""
    usual = Figure(name, values, values)
    return _table()[folder][image][name]["tolerance"] + usual.rtol * np.abs(values)


def undecided(heatmap: np.ndarray, reach: np.ndarray, lowest: float = -np.inf) -> np.ndarray:
    """Find the cells (h, w) for which rounding decides whether they are a peak above `lowest`.

    `heatmap` (h, w) has logits and `reach` (h, w) their tolerances. A cell is a peak if none of
    its eight neighbours is higher.
    """
    h, w = heatmap.shape
    low, high = (
        np.pad(heatmap + sign * reach, 1, constant_values=-np.inf) for sign in (-1, 1)
    )  # (h + 2, w + 2)
    around = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]
    inside = np.s_[1:-1, 1:-1]

    def highest(values: np.ndarray) -> np.ndarray:
        return np.max([values[y : y + h, x : x + w] for y, x in around], axis=0)

    surely = (low[inside] > highest(high)) & (low[inside] > lowest)
    never = (high[inside] < highest(low)) | (high[inside] < lowest)
    return ~surely & ~never


def _rows(figures: Iterable[Figure]) -> Iterator[str]:
    for figure in figures:
        distance = float(f"{figure.distance():.3g}")
        tolerance = f"{figure.tolerance(distance):.4g}"
        yield f'"{figure.name}" = {{ distance = {distance}, tolerance = {tolerance} }}\n'


def main() -> None:
    """Measure every stored figure and write the table."""
    text = HEADING
    for module in MODULES:
        for folder, image, figures in import_module(module).measured():
            text += f'\n["{folder}"."{image}"]\n' + "".join(_rows(figures))
            print(folder, image, flush=True)
    TABLE.write_text(text)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
