"""Curves on paper: none hides behind another."""

import cv2
import numpy as np

from mottool.drawing.curves import COLOURS, draw_curves


def test_lines_that_coincide_are_all_seen(tmp_path):
    path = tmp_path / "curves.png"
    epochs = [1.0, 2.0, 3.0]
    flat = {name: (epochs, [0.0, 0.0, 0.0]) for name in ("MOTA", "IDF1", "AP")}
    draw_curves({"validation": flat | {"TPR": (epochs, [0.1, 0.2, 0.4])}}, "epoch", "made", path)
    image = cv2.imread(str(path))[:, :, ::-1]  # RGB
    own = [np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in COLOURS[:4]]
    # The legend has a piece of each line; the lines themselves go from one side to the other.
    across = [(abs(image.astype(int) - colour) < 24).all(2).any(0).sum() for colour in own]
    assert min(across) > 0.6 * image.shape[1]
