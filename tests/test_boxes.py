import numpy as np
from goldens import HERE, read_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mottool.boxes import intersection, iou, tlwh_from_xyxy, xyxy_from_tlwh

sides = st.integers(0, 500).map(float)
tlwh = st.integers(0, 6).flatmap(lambda n: arrays(np.float64, (n, 4), elements=sides))
always = settings(derandomize=True, deadline=None)


@given(tlwh)
@always
def test_conversions_are_inverse(boxes):
    assert np.array_equal(tlwh_from_xyxy(xyxy_from_tlwh(boxes)), boxes)


@given(tlwh, tlwh)
@always
def test_iou_is_symmetric_and_between_none_and_all(a, b):
    a, b = xyxy_from_tlwh(a), xyxy_from_tlwh(b)
    overlap = iou(a, b)
    assert overlap.shape == (len(a), len(b))
    assert ((overlap >= 0) & (overlap <= 1)).all()
    np.testing.assert_array_equal(overlap, iou(b, a).T)
    itself = np.diag(iou(a, a))
    assert (itself == ((a[:, 2:] - a[:, :2]).prod(axis=1) > 0)).all()


@given(tlwh, tlwh)
@always
def test_intersection_counts_shared_pixels(a, b):
    """Against a count of unit squares on boxes scaled down to at most 10 pixels a side."""
    a, b = xyxy_from_tlwh(a // 50), xyxy_from_tlwh(b // 50)

    def squares(box):
        x1, y1, x2, y2 = box.astype(int)
        return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}

    counted = [[len(squares(one) & squares(two)) for two in b] for one in a]
    np.testing.assert_array_equal(intersection(a, b), np.reshape(counted, (len(a), len(b))))


def test_a_border_counts_pixels_inclusively():
    a = np.array([[0.0, 0, 9, 9]])
    assert iou(a, np.array([[5.0, 0, 14, 9]]), border=1)[0, 0] == 50 / 150


def test_iou_equals_that_of_the_authors_trackers():
    stored = read_npz(HERE / "association" / "units.npz")
    overlap = iou(stored["iou/a"], stored["iou/b"], border=1)
    np.testing.assert_allclose(overlap, stored["iou/value"], rtol=0, atol=1e-12)
