import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.metrics.tracker_differences import differences
from mottool.motchallenge.rows import Rows


def rows(table):
    table = np.array(table, float).reshape(-1, 6)
    frames, ids = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Rows(frames, ids, table[:, 2:6], np.zeros((len(table), 0)))


def walk(identity, frames, left):
    return [[frame, identity, left + frame, 0, 10, 20] for frame in frames]


def test_single_boxes_and_differing_identities_are_found():
    first = rows(walk(1, range(1, 11), 0) + walk(2, range(1, 11), 100))
    second = rows(walk(7, range(1, 11), 0) + walk(8, range(1, 7), 100) + walk(9, range(7, 10), 100)
                  + walk(5, [3], 300))  # fmt: skip
    result = differences(first, second)
    assert result.names == {7: 1, 8: 2}
    assert np.flatnonzero(result.alone[0]).tolist() == [19]  # the second person in frame 10
    assert np.flatnonzero(result.alone[1]).tolist() == [19]  # a box of the other tracker only
    assert np.flatnonzero(result.parted[0]).tolist() == [16, 17, 18]
    assert second.ids[result.parted[1]].tolist() == [9, 9, 9]


def test_all_boxes_are_single_without_rows_of_the_other():
    first, none = rows(walk(1, range(1, 4), 0)), rows([])
    result = differences(first, none)
    assert result.alone[0].all()
    assert len(result.alone[1]) == 0
    assert result.names == {}


@given(st.integers(0, 10**6))
@settings(derandomize=True, deadline=None, max_examples=20)
def test_other_identity_numbers_and_order_are_no_difference(seed):
    draw = np.random.default_rng(seed)
    first = rows(sum((walk(i, range(1, 8), 60 * i) for i in range(1, 5)), []))
    names = draw.permutation(50)
    order = draw.permutation(len(first))
    second = Rows(first.frames[order], names[first.ids][order], first.tlwh[order], first.rest)
    result = differences(first, second)
    assert not any(mask.any() for masks in (result.alone, result.parted) for mask in masks)
    assert result.names == {int(names[i]): i for i in range(1, 5)}
