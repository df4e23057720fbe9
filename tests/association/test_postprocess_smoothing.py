"""Tracks mended after the fact, held against straight lines, filterpy and a Gaussian process."""

import numpy as np
import pytest
from filterpy.common import Q_discrete_white_noise
from filterpy.kalman import KalmanFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.association.postprocess import (
    interpolate_gaps,
    remove_short_tracks,
    smooth_gaussian,
    smooth_rts,
)
from mottool.motchallenge.rows import Rows

NONE = Rows(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros((0, 1)))


def rows(frames, ids, seed=0):
    """Boxes of a random walk in these frames of these identities."""
    draw = np.random.default_rng(seed)
    tlwh = 200 + draw.normal(0, 5, (len(frames), 4)).cumsum(axis=0)
    scores = draw.random((len(frames), 1))
    return Rows(np.array(frames, np.int64), np.array(ids, np.int64), tlwh, scores)


def shuffled(given_rows, seed=0):
    order = np.random.default_rng(seed).permutation(len(given_rows))
    return Rows(*(getattr(given_rows, name)[order] for name in ("frames", "ids", "tlwh", "rest")))


def table(given_rows):
    """All columns, sorted by identity and frame."""
    columns = np.column_stack([given_rows.ids, given_rows.frames, given_rows.tlwh, given_rows.rest])
    return columns[np.lexsort((given_rows.frames, given_rows.ids))]


@st.composite
def scenes(draw):
    """Some tracks with gaps, in a random order."""
    frames, ids = [], []
    for identity in range(1, draw(st.integers(1, 4)) + 1):
        seen = draw(st.sets(st.integers(1, 40), min_size=1, max_size=25))
        frames += sorted(seen)
        ids += [identity] * len(seen)
    seed = draw(st.integers(0, 99))
    return shuffled(rows(frames, ids, seed), seed)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(scenes(), st.integers(1, 12))
def test_filling_keeps_what_was_there_and_leaves_no_gap_that_is_short(scene, longest):
    done = interpolate_gaps(scene, longest)
    before = {tuple(row) for row in table(scene)}
    assert before <= {tuple(row) for row in table(done)}
    for identity in np.unique(scene.ids):
        old, new = table(scene), table(done)
        old, new = old[old[:, 0] == identity], new[new[:, 0] == identity]
        wanted = []
        for a, b in zip(old, old[1:], strict=False):
            missing = int(b[1] - a[1]) - 1
            if 0 < missing <= longest:
                wanted += [a + (b - a) * k / (missing + 1) for k in range(1, missing + 1)]
        known = set(old[:, 1])
        added = np.array([row for row in new if row[1] not in known]).reshape(-1, 7)
        np.testing.assert_allclose(added, np.array(wanted).reshape(-1, 7), rtol=1e-12)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(scenes(), st.integers(1, 12))
def test_filling_twice_changes_nothing_more(scene, longest):
    once = interpolate_gaps(scene, longest)
    np.testing.assert_array_equal(table(interpolate_gaps(once, longest)), table(once))


def test_filled_rows_are_in_the_order_of_a_result_file():
    done = interpolate_gaps(rows([1, 4, 2, 3], [7, 7, 3, 3]), 5)
    assert done.frames.tolist() == [1, 2, 2, 3, 3, 4]
    assert done.ids.tolist() == [7, 3, 7, 3, 7, 7]


def test_short_tracks_go_and_the_others_stay_as_they_were():
    scene = rows([1, 1, 2, 2, 3, 9], [5, 2, 5, 2, 5, 2])
    assert remove_short_tracks(scene, 3).ids.tolist() == [5, 2, 5, 2, 5, 2]
    kept = remove_short_tracks(rows([1, 1, 2, 3], [5, 2, 5, 5]), 2)
    assert (kept.ids.tolist(), kept.frames.tolist()) == ([5, 5, 5], [1, 2, 3])


@pytest.mark.parametrize(
    "change",
    [lambda scene: interpolate_gaps(scene, 5), smooth_gaussian, smooth_rts],
)
def test_nothing_gives_nothing_and_a_single_box_stays(change):
    assert len(change(NONE)) == 0
    one = rows([3], [1])
    np.testing.assert_allclose(table(change(one)), table(one), rtol=1e-8)


def by_filterpy(frames, boxes):
    """Centre, width and height of one track by filterpy alone: one filter of 8 states."""
    height = np.median(boxes[:, 3])
    measured = np.column_stack([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]])
    kalman = KalmanFilter(dim_x=8, dim_z=4)
    kalman.F = np.kron(np.eye(4), [[1.0, 1.0], [0.0, 1.0]])
    kalman.H = np.kron(np.eye(4), [[1.0, 0.0]])
    kalman.R = np.eye(4) * (height / 20) ** 2
    kalman.P = np.kron(np.eye(4), np.diag([(height / 20) ** 2, (height / 16) ** 2]))
    kalman.x = np.kron(measured[0], [1.0, 0.0])
    states, covariances, moves, noises = [kalman.x], [kalman.P], [kalman.F], [kalman.Q]
    for step, seen in zip(np.diff(frames), measured[1:], strict=True):
        move = np.kron(np.eye(4), [[1.0, step], [0.0, 1.0]])
        noise = np.kron(np.eye(4), Q_discrete_white_noise(2, float(step), (height / 500) ** 2))
        kalman.predict(F=move, Q=noise)
        kalman.update(seen)
        states.append(kalman.x)
        covariances.append(kalman.P)
        moves.append(move)
        noises.append(noise)
    # This form of the smoother takes the transition into each row, not out of it.
    smooth = kalman.rts_smoother(np.array(states), np.array(covariances), moves, noises)[0]
    return smooth[:, ::2]


@pytest.mark.parametrize("gaps", [False, True])
def test_rts_is_filterpys(gaps):
    frames = [1, 2, 3, 6, 7, 12, 13, 14] if gaps else list(range(1, 30))
    track, other = rows(frames, [4] * len(frames), 1), rows([2, 3, 4], [9] * 3, 2)
    columns = zip(vars(track).values(), vars(other).values(), strict=True)
    both = Rows(*map(np.concatenate, columns))
    done = smooth_rts(shuffled(both))
    tlwh = table(done)[: len(frames), 2:6]
    centred = np.column_stack([tlwh[:, :2] + tlwh[:, 2:] / 2, tlwh[:, 2:]])
    np.testing.assert_allclose(centred, by_filterpy(track.frames, track.tlwh), rtol=1e-9)


@pytest.mark.parametrize("smooth", [smooth_gaussian, smooth_rts])
def test_smoothing_brings_noisy_boxes_nearer_to_the_truth(smooth):
    frames = np.arange(1, 121)
    truth = np.column_stack(
        [100 + 3 * frames, 200 + 40 * np.sin(frames / 25), 40 + 0 * frames, 100 + 0.2 * frames]
    )
    noisy = truth + np.random.default_rng(0).normal(0, 3, truth.shape)
    scene = Rows(frames, np.ones(120, np.int64), noisy, np.ones((120, 1)))
    done = smooth(scene)
    assert np.abs(done.tlwh - truth).mean() < 0.6 * np.abs(noisy - truth).mean()
    np.testing.assert_array_equal(done.frames, scene.frames)
    np.testing.assert_array_equal(done.rest, scene.rest)


def test_the_gaussian_process_is_strongsorts():
    """Radial basis of length 10·log(1000 / n), noise 1e-10: by an eigendecomposition."""
    track = rows(range(1, 201), [1] * 200)
    scale = 10 * np.log(1000 / 200)
    distance = np.subtract.outer(track.frames, track.frames)
    values, vectors = np.linalg.eigh(np.exp(-(distance**2) / (2 * scale**2)))
    values = np.maximum(values, 0)
    wanted = vectors @ (values / (values + 1e-10) * (vectors.T @ track.tlwh).T).T
    np.testing.assert_allclose(smooth_gaussian(track).tlwh, wanted, atol=0.05)


def test_a_long_track_is_left_alone_by_the_gaussian_process():
    track = rows(range(1, 1101), [1] * 1100)
    np.testing.assert_array_equal(smooth_gaussian(track).tlwh, track.tlwh)
