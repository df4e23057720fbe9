"""The public-detection protocol: who may begin a track where the benchmark gives the detections.

A tracker with a detector of its own may then only begin tracks near the benchmark's boxes.
Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §5.3, as the published code
does it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["near_public"]

Floats = npt.NDArray[np.floating[Any]]


def near_public(centres: Floats, areas: Floats, public: Floats) -> npt.NDArray[np.intp]:
    """Which detections may begin tracks, in the order of the public boxes they answer to.

    Each of the `public` boxes (p, 4), in their order, admits the nearest detection that is not
    admitted yet, if the squared distance from its centre is less than the detection's area.
    `centres` (n, 2) and `areas` (n,) are the detections'.
    """
    middles = (public[:, :2] + public[:, 2:]) / 2
    distances = np.square(centres[:, None] - middles).sum(axis=2)  # (n, p)
    admitted = []
    for column in distances.T if len(centres) else ():
        nearest = int(column.argmin())
        if column[nearest] < areas[nearest]:
            distances[nearest] = np.inf
            admitted.append(nearest)
    return np.array(admitted, np.intp)
