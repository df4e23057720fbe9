"""A frame with the boxes of its people, as a panel of a figure."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from mottool.boxes import tlwh_from_xyxy
from mottool.drawing.identity_colours import identity_colours
from mottool.drawing.overlay import Overlay, identity_styles
from mottool.motchallenge.rows import Rows

__all__ = ["draw_people"]


def draw_people(
    axes: Axes,
    image: npt.NDArray[np.uint8],
    boxes: npt.NDArray[np.floating[Any]],
    ids: npt.NDArray[np.int64],
    title: str,
) -> None:
    """Draw an image (H, W, 3) BGR with boxes (n, 4), coloured and numbered by identity."""
    overlay = Overlay(image.shape[1], image.shape[0], trail=0)
    frames = np.ones(len(ids), np.int64)
    rows = Rows(frames, ids, np.asarray(tlwh_from_xyxy(boxes), np.float64), np.zeros((len(ids), 0)))
    drawn = overlay.draw_boxes(image, boxes, identity_styles(ids, identity_colours(rows)))
    axes.imshow(cv2.cvtColor(drawn, cv2.COLOR_BGR2RGB))
    axes.set_title(title, fontsize="small")
    axes.set_axis_off()
