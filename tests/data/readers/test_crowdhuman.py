"""CrowdHuman's .odgt files: invalid lines."""

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
    ],
)
def test_invalid_line_is_refused(tmp_path, make, message):
    assert message in refusal(make(tmp_path))
