"""CrowdHuman's .odgt files: invalid lines."""

import math

import datasets
import pytest
from datasets import refusal


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: datasets.crowdhuman(at, [{"tag": "person"}]), "odgt line 1 is broken"),
        (
            lambda at: datasets.crowdhuman(at, [{"tag": "person", "fbox": [1, 2, 3]}]),
            "odgt line 1 is broken",
        ),
        *(
            (
                lambda at, far=far: datasets.crowdhuman(
                    at, [{"tag": "person", "fbox": [1, 2, far, 3]}]
                ),
                "odgt line 1 has a box beyond any image",
            )
            for far in (math.nan, -math.inf, 1e308)
        ),
    ],
)
def test_invalid_line_is_refused(tmp_path, make, message):
    assert message in refusal(make(tmp_path))


def test_two_lines_of_one_image_are_refused(tmp_path):
    """The image would be one with people and one without them."""
    path = datasets.crowdhuman(tmp_path, [{"tag": "person", "fbox": [1, 2, 3, 4]}])
    path.write_text(path.read_text() + '\n{"ID": "1,a", "gtboxes": []}\n')
    assert "lines 1 and 3 are both of 1,a.jpg" in refusal(path)
