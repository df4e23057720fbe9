"""Penn-Fudan annotations: invalid lines."""

import datasets
from datasets import refusal


def test_invalid_bounding_box_is_refused_with_its_line(tmp_path):
    folder = datasets.penn_fudan(tmp_path, ": (1, 2) - (3)")
    assert "line 3 is not a bounding box" in refusal(folder)
