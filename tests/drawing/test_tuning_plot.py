"""Plot of a search: its size, its panels, and the marker of the best trial."""

import cv2
import numpy as np
import pytest

from mottool.drawing.style import VERMILION
from mottool.drawing.tuning_plot import COLUMNS, DPI, HEIGHT, WIDTH, draw_search
from mottool.tuning.search_space import Axis
from mottool.tuning.trials import Trial

SPACE = [
    Axis("share", (), 0.0, 1.0),
    Axis("form", ("code", "paper")),
    Axis("strict", (False, True)),
    Axis("rate", (None, 25.0)),
]


def trials(count):
    draws = np.random.default_rng(0)
    points = [
        {
            "share": draws.random(),
            "form": ("code", "paper")[number % 2],
            "strict": number % 3 == 0,
            "rate": (None, 25.0)[number // 2 % 2],
        }
        for number in range(count)
    ]
    return [
        Trial(number, point, {}, {}, "HOTA")
        if number % 4 == 3
        else Trial(number, point, {"HOTA": point["share"]}, {})
        for number, point in enumerate(points)
    ]


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("axes", [1, 2, 4])
def test_every_axis_has_a_panel_with_the_best_trial_marked(tmp_path, count, axes):
    path = draw_search(trials(count)[::-1], SPACE[:axes], "HOTA", tmp_path / "search.png")
    image = cv2.imread(str(path))  # (H, W, 3) BGR
    columns = min(COLUMNS, axes + 1)
    rows = -(-(axes + 1) // COLUMNS)
    assert image.shape[:2] == (round(HEIGHT * DPI * rows), round(WIDTH * DPI * columns))
    red, green, blue = (int(VERMILION[start : start + 2], 16) for start in (1, 3, 5))
    stars = (np.abs(image.astype(int) - [blue, green, red]) < 12).all(axis=2)
    panels = np.array_split(np.arange(image.shape[1]), columns)
    for number in range(axes + 1):
        row, column = divmod(number, columns)
        band = slice(row * image.shape[0] // rows, (row + 1) * image.shape[0] // rows)
        assert stars[band, panels[column]].sum() > 40
