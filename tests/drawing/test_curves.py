"""Line charts: all lines are visible."""

import cv2
import numpy as np

from mottool.drawing.curves import draw_curves
from mottool.drawing.style import COLOURS


def test_coinciding_lines_are_all_visible(tmp_path):
    path = tmp_path / "curves.png"
    epochs = [1.0, 2.0, 3.0]
    flat = {name: (epochs, [0.0, 0.0, 0.0]) for name in ("MOTA", "IDF1", "AP")}
    draw_curves({"validation": flat | {"TPR": (epochs, [0.1, 0.2, 0.4])}}, "epoch", "title", path)
    image = cv2.imread(str(path))[:, :, ::-1]  # RGB
    colours = [np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in COLOURS[:4]]
    # The legend shows a short piece of each line; the line itself spans the plot.
    widths = [(abs(image.astype(int) - colour) < 24).all(2).any(0).sum() for colour in colours]
    assert min(widths) > 0.6 * image.shape[1]


def test_single_values_are_bars(tmp_path):
    path = tmp_path / "curves.png"
    draw_curves({"loss": {"heat": ([1.0], [1.0]), "id": ([1.0], [2.0])}}, "epoch", "title", path)
    image = cv2.imread(str(path))[:, :, ::-1]
    blue = np.array([int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)])
    lengths = (abs(image.astype(int) - blue) < 24).all(2).sum(1)  # pixels of each line of the image
    short, long = np.unique(lengths[lengths > 100])[[0, -1]]
    assert 1.9 < long / short < 2.1
