"""What tracking would have found in the previous image, as CenterTrack learns to live with it.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §4.3: the network is told where
people were, by a tracker that errs. In training the errors are made up.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.data.pairs import Steps

__all__ = ["simulated"]

Boxes = npt.NDArray[np.floating[Any]]


def simulated(
    boxes: Boxes, steps: Steps, width: int, height: int, draw: np.random.Generator
) -> npt.NDArray[np.float32]:
    """The boxes (m, 4) that stand for people with boxes (n, 4), in network pixels.

    What the input of `width` x `height` pixels shows of a person is moved by a normal error; some
    are lost. As in the authors' code, only those who are not lost may be found a second time.
    """
    count = len(boxes)
    shown = np.clip(boxes, 0, np.array([width - 1, height - 1] * 2))
    sides = shown[:, 2:] - shown[:, :2]  # (n, 2)
    once, twice = (
        shown + np.tile(steps.jitter * draw.standard_normal((count, 2)) * sides, 2)
        for _ in range(2)
    )
    there = draw.random(count) >= steps.lost
    again = there & (draw.random(count) < steps.false)
    return np.concatenate((once[there], twice[again])).astype(np.float32)
