import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from goldens import HERE, read_npz
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.association.motion import (
    CHI2_95,
    COVARIANCE,
    POSITION,
    POSITION_VARIANCE,
    VELOCITY,
    VELOCITY_VARIANCE,
    AreaFilter,
    HeightFilter,
)

always = settings(derandomize=True, deadline=None, max_examples=60)
seeds = st.integers(0, 2**32 - 1)


def boxes_of(draw, count):
    corner, sides = draw.uniform(-100, 1900, (count, 2)), draw.uniform(5, 400, (count, 2))
    return np.concatenate((corner, corner + sides), axis=1)


def dense_covariance(motion, tracklet):
    """The 8x8 covariance that four 2x2 blocks stand for."""
    blocks = [
        [np.diag(motion[POSITION_VARIANCE, :, tracklet]), np.diag(motion[COVARIANCE, :, tracklet])],
        [np.diag(motion[COVARIANCE, :, tracklet]), np.diag(motion[VELOCITY_VARIANCE, :, tracklet])],
    ]
    return np.block(blocks)


def deviations(height, position, velocity, aspect, aspect_velocity):
    by_height = np.array([1, 1, 0, 1]) * height
    fixed = np.array([0, 0, 1, 0])
    return np.concatenate(
        (by_height * position + fixed * aspect, by_height * velocity + fixed * aspect_velocity)
    )


class DenseHeight:
    """DeepSORT's filter written with filterpy's matrices."""

    def __init__(self, measured):
        self.filter = KalmanFilter(dim_x=8, dim_z=4)
        self.filter.F = np.eye(8) + np.eye(8, k=4)
        self.filter.H = np.eye(4, 8)
        self.filter.x = np.concatenate((measured, np.zeros(4)))[:, None]
        self.filter.P = np.diag(deviations(measured[3], 2 / 20, 10 / 160, 1e-2, 1e-5)) ** 2

    def predict(self):
        height = self.filter.x[3, 0]
        self.filter.predict(Q=np.diag(deviations(height, 1 / 20, 1 / 160, 1e-2, 1e-5)) ** 2)

    def update(self, measured):
        height = self.filter.x[3, 0]
        self.filter.update(measured, R=np.diag(deviations(height, 1 / 20, 0, 1e-1, 0)[:4]) ** 2)


class DenseArea:
    """SORT's filter written with filterpy's matrices: seven states, the ratio without velocity."""

    def __init__(self, measured):
        self.filter = KalmanFilter(dim_x=7, dim_z=4)
        self.filter.F = np.eye(7) + np.eye(7, k=4)
        self.filter.H = np.eye(4, 7)
        self.filter.x = np.concatenate((measured, np.zeros(3)))[:, None]
        self.filter.P = np.diag([10, 10, 10, 10, 1e4, 1e4, 1e4])
        self.filter.Q = np.diag([1, 1, 1, 1, 1e-2, 1e-2, 1e-4])
        self.filter.R = np.diag([1, 1, 10, 10])

    def predict(self):
        if self.filter.x[2, 0] + self.filter.x[6, 0] <= 0:
            self.filter.x[6, 0] = 0
        self.filter.predict()

    def update(self, measured):
        self.filter.update(measured)


@pytest.mark.parametrize(
    ("ours", "dense"), [(HeightFilter(), DenseHeight), (AreaFilter(), DenseArea)]
)
@given(seed=seeds, count=st.integers(1, 6), frames=st.integers(1, 8))
@always
def test_a_filter_equals_filterpy(ours, dense, seed, count, frames):
    draw = np.random.default_rng(seed)
    measured = ours.measurements(boxes_of(draw, count))
    motion = ours.initiate(measured)
    theirs = [dense(column) for column in measured.T]
    for _ in range(frames):
        ours.predict(motion)
        measured = ours.measurements(boxes_of(draw, count))
        seen = np.flatnonzero(draw.random(count) < 0.7)
        corrected = motion[:, :, seen]
        ours.update(corrected, measured[:, seen])
        motion[:, :, seen] = corrected
        for tracklet, each in enumerate(theirs):
            each.predict()
            if tracklet in seen:
                each.update(measured[:, tracklet])
            size = each.filter.dim_x
            state = motion[[POSITION, VELOCITY], :, tracklet].ravel()[:size]
            covariance = dense_covariance(motion, tracklet)[:size, :size]
            np.testing.assert_allclose(state, each.filter.x[:, 0], rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(covariance, each.filter.P, rtol=1e-8, atol=1e-8)


def test_the_filter_and_its_gate_equal_the_authors():
    stored = read_npz(HERE / "association" / "units.npz")
    ours = HeightFilter()
    tracklets, frames = stored["kalman/meas"].shape[:2]
    motion = np.zeros((5, 4, tracklets))
    for frame in range(frames):
        measured = stored["kalman/meas"][:, frame].T  # (4, T)
        coasts = frame % 7 == 3
        if frame == 0:
            motion = ours.initiate(measured)
        else:
            if coasts:
                motion[VELOCITY, HeightFilter.HEIGHT] = 0
            ours.predict(motion)
            check(motion, stored["kalman/pred_mean"][:, frame], stored["kalman/pred_cov"][:, frame])
            for one in range(tracklets):
                candidates = stored["kalman/gate_candidates"][one, frame].T  # (4, 5)
                rows, cols, result = ours.gate(motion[:, :, [one]], candidates, np.inf)
                assert rows.tolist() == [0] * 5
                assert cols.tolist() == [0, 1, 2, 3, 4]
                wanted = stored["kalman/gate_maha4"][one, frame]
                np.testing.assert_allclose(result, wanted, rtol=1e-9)
            if not coasts:
                ours.update(motion, measured)
        check(motion, stored["kalman/mean"][:, frame], stored["kalman/cov"][:, frame])


def check(motion, mean, covariance):
    for tracklet in range(len(mean)):
        state = motion[[POSITION, VELOCITY], :, tracklet].ravel()
        np.testing.assert_allclose(state, mean[tracklet], rtol=1e-9, atol=1e-9)
        dense = dense_covariance(motion, tracklet)
        np.testing.assert_allclose(dense, covariance[tracklet], rtol=1e-9, atol=1e-9)


@given(seed=seeds, tracklets=st.integers(0, 8), detections=st.integers(0, 8))
@always
def test_the_gate_keeps_the_pairs_within_the_dense_mahalanobis_distance(
    seed, tracklets, detections
):
    draw = np.random.default_rng(seed)
    ours = HeightFilter()
    boxes = boxes_of(draw, tracklets)
    motion = ours.initiate(ours.measurements(boxes))
    ours.predict(motion)
    near = (
        boxes[draw.integers(0, tracklets, detections)] if tracklets else boxes_of(draw, detections)
    )
    measured = ours.measurements(near + draw.normal(0, 3, near.shape))
    spread = ours.innovation_variance(motion)
    wanted = {}
    for row in range(tracklets):
        inverse = np.linalg.inv(np.diag(spread[:, row]))
        for col in range(detections):
            offset = measured[:, col] - motion[POSITION, :, row]
            wanted[row, col] = offset @ inverse @ offset
    rows, cols, distances = ours.gate(motion, measured)
    pairs = list(zip(rows.tolist(), cols.tolist(), strict=True))
    assert pairs == [pair for pair, distance in wanted.items() if distance <= CHI2_95]
    np.testing.assert_allclose(distances, [wanted[pair] for pair in pairs], rtol=1e-9)


@pytest.mark.parametrize("ours", [HeightFilter(), AreaFilter()])
@given(seed=seeds, count=st.integers(0, 5))
@always
def test_boxes_come_back_from_their_coordinates(ours, seed, count):
    boxes = boxes_of(np.random.default_rng(seed), count)
    np.testing.assert_allclose(ours.boxes(ours.measurements(boxes)), boxes, atol=1e-9)


def test_an_area_stops_shrinking_before_it_vanishes():
    ours = AreaFilter()
    motion = ours.initiate(ours.measurements(np.array([[0.0, 0, 10, 10], [0, 0, 10, 10]])))
    motion[VELOCITY, 2] = [-100, -99]
    ours.predict(motion)
    assert motion[POSITION, 2].tolist() == [100, 1]
    assert motion[VELOCITY, 2].tolist() == [0, -99]
