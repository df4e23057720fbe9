"""Small, medium and large people: figures by size show what a network's stride costs.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT", IJCV 2021, Table 3: a box below 7000 square pixels of
the original frame is small, one above 15000 large.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FAIRMOT", "SIZES", "size_of"]

SIZES = ("S", "M", "L")
FAIRMOT = (7000.0, 15000.0)  # square pixels


def size_of(
    areas: npt.NDArray[np.floating[Any]], limits: tuple[float, float] = FAIRMOT
) -> npt.NDArray[np.intp]:
    """For each area (n,) in square pixels its place in `SIZES`; both limits are medium."""
    return (areas >= limits[0]).astype(np.intp) + (areas > limits[1])
