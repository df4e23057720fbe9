"""A frame with the boxes of its people, as a panel of a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from mottool.boxes import tlwh_from_xyxy
from mottool.drawing.identity_colours import identity_colours
from mottool.drawing.overlay import Overlay, identity_styles
from mottool.drawing.style import BGR
from mottool.motchallenge.rows import Rows

__all__ = ["colours_of_people", "draw_people"]

Boxes = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]


def colours_of_people(frames: Sequence[tuple[Boxes, Ints]]) -> dict[int, BGR]:
    """Choose a colour for each identity in one or several frames, as `identity_colours` does.

    Each frame is its boxes (n, 4) x1 y1 x2 y2 and ids (n,). An identity has one colour in all
    frames, and those close to each other in any of them differ. Unknown identities, which are
    negative, have none.
    """
    boxes, ids = (np.concatenate(parts) for parts in zip(*frames, strict=True))
    numbers = np.repeat(np.arange(1, len(frames) + 1), [len(each) for _, each in frames])
    tlwh = np.asarray(tlwh_from_xyxy(boxes), np.float64)
    rows = Rows(numbers, ids, tlwh, np.zeros((len(ids), 0)))
    return identity_colours(rows.select(ids >= 0))


def draw_people(
    axes: Axes,
    image: npt.NDArray[np.uint8],
    boxes: Boxes,
    ids: Ints,
    title: str,
    colours: Mapping[int, BGR],
) -> None:
    """Draw an image (H, W, 3) BGR with boxes (n, 4), numbered and coloured by identity."""
    overlay = Overlay(image.shape[1], image.shape[0], trail=0)
    drawn = overlay.draw_boxes(image, boxes, identity_styles(ids, colours))
    axes.imshow(cv2.cvtColor(drawn, cv2.COLOR_BGR2RGB))
    axes.set_title(title, fontsize="small")
    axes.set_axis_off()
