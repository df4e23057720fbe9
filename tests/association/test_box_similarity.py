"""OC-SORT's similarities of boxes: values of the authors' code, and their range."""

import numpy as np
import pytest
from goldens import HERE, read_npz

from mottool.association.box_similarity import SIMILARITIES, ct_dist


@pytest.mark.parametrize("name", SIMILARITIES)
def test_values_equal_those_of_the_authors(name):
    stored = read_npz(HERE / "association/similarity.npz")
    values = SIMILARITIES[name](stored["a"], stored["b"])
    np.testing.assert_allclose(values, stored[name], rtol=0, atol=1e-12)
    assert values.min() >= 0
    assert values.max() <= 1


@pytest.mark.parametrize("name", ["iou", "giou", "diou", "ciou"])
def test_equal_boxes_have_a_similarity_of_one(name):
    box = np.array([[10.0, 20, 50, 120]])
    assert SIMILARITIES[name](box, box) == pytest.approx(1)


def test_a_single_pair_has_no_relative_distance():
    box = np.array([[10.0, 20, 50, 120]])
    assert ct_dist(box, box) == 0
    assert ct_dist(box, box + 5) == 0
