import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.boxes import iou, xyxy_from_tlwh
from mottool.metrics import pairs as module
from mottool.metrics.pairs import overlapping, renumber

PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)


def random_boxes(draw, count, far):
    boxes = draw.normal(0, 1, (count, 4)) * [200, 200, 60, 60]
    boxes[draw.random(count) < 0.05] *= far
    return np.sort(draw.integers(1, 6, count)) * 1000, np.round(boxes)


@given(
    st.integers(0, 10**6), st.integers(0, 60), st.integers(0, 60), st.sampled_from([1, 1e4, 1e9])
)
@PROPERTY
def test_exactly_the_overlapping_pairs_are_returned(seed, truths, results, far):
    draw = np.random.default_rng(seed)
    frames, boxes = random_boxes(draw, truths, far)
    others, guesses = random_boxes(draw, results, far)
    pairs = overlapping(frames, boxes, others, guesses)
    similarity = np.zeros((truths, results))
    similarity[pairs.truth, pairs.result] = pairs.similarity
    solid = ((boxes[:, 2:] > 0).all(1)[:, None]) & ((guesses[:, 2:] > 0).all(1)[None])
    same_frame = frames[:, None] == others[None]
    expected = np.where(solid & same_frame, iou(xyxy_from_tlwh(boxes), xyxy_from_tlwh(guesses)), 0)
    np.testing.assert_allclose(similarity, expected, rtol=1e-12, atol=0)
    assert len(pairs.truth) == np.count_nonzero(expected)
    assert (np.diff(pairs.truth) >= 0).all()


def test_blocks_do_not_change_the_pairs(monkeypatch):
    draw = np.random.default_rng(1)
    (frames, boxes), (others, guesses) = random_boxes(draw, 80, 1), random_boxes(draw, 90, 1)
    expected = overlapping(frames, boxes, others, guesses)
    monkeypatch.setattr(module, "BLOCK", 5)
    parts = overlapping(frames, boxes, others, guesses)
    for name in ("truth", "result", "similarity"):
        np.testing.assert_array_equal(getattr(expected, name), getattr(parts, name))


def test_selected_pairs_have_new_rows():
    draw = np.random.default_rng(2)
    (frames, boxes), (others, guesses) = random_boxes(draw, 40, 1), random_boxes(draw, 50, 1)
    a, b = draw.random(40) < 0.7, draw.random(50) < 0.7
    selected = overlapping(frames, boxes, others, guesses).select(a, b)
    expected = overlapping(frames[a], boxes[a], others[b], guesses[b])
    for name in ("truth", "result", "similarity"):
        np.testing.assert_array_equal(getattr(selected, name), getattr(expected, name))
    assert selected.truth_ptr[-1] == a.sum()
    assert selected.result_ptr[-1] == b.sum()


@given(st.lists(st.integers(-(2**60), 2**60) | st.integers(-9, 9)))
@PROPERTY
def test_renumbering_is_numpys_unique(values):
    array = np.array(values, np.int64)
    distinct, index = renumber(array)
    assert distinct.tolist() == sorted(set(values))
    assert distinct[index].tolist() == values
