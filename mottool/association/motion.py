"""Constant-velocity Kalman filters over all tracklets at once.

In most of these filters the position and the velocity of a coordinate couple only with each other
and the noise matrices are diagonal, so the 8x8 covariance is four 2x2 blocks, and predicting,
gating and updating are a few elementwise operations on arrays.

The state of T tracklets is then one array `motion`, (5, 4, T) float64, with the rows POSITION,
VELOCITY, COVARIANCE (of position and velocity), POSITION_VARIANCE and VELOCITY_VARIANCE of the
four coordinates. Coordinates come first so that the operations run along the tracklets.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

__all__ = [
    "CHI2_95",
    "COVARIANCE",
    "POSITION",
    "POSITION_VARIANCE",
    "VELOCITY",
    "VELOCITY_VARIANCE",
    "AreaFilter",
    "Filter",
    "HeightFilter",
    "IndependentFilter",
    "corners_of",
]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

POSITION, VELOCITY, COVARIANCE, POSITION_VARIANCE, VELOCITY_VARIANCE = range(5)
VARIANCES = slice(POSITION_VARIANCE, VELOCITY_VARIANCE + 1)

CHI2_95 = 9.4877  # 0.95 quantile of the chi-square distribution with four degrees of freedom


class Filter(ABC):
    """A filter of four coordinates and their velocities.

    The state of T tracklets is an array of `state_shape` and T, whose element 0 starts with the
    coordinates. Measurements are (4, n) in those coordinates, boxes (n, 4) x1 y1 x2 y2 in pixels.
    """

    state_shape: ClassVar[tuple[int, int]]

    @staticmethod
    @abstractmethod
    def measurements(boxes: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return the coordinates (4, n) of boxes (n, 4) with an area."""

    @staticmethod
    @abstractmethod
    def boxes(coordinates: Floats) -> Floats:
        """Return the boxes (n, 4) of coordinates (4, n)."""

    @abstractmethod
    def initiate(self, measurements: Floats) -> Floats:
        """Return the state of tracklets created at rest from a measurement (4, n)."""

    @abstractmethod
    def predict(self, motion: Floats, elapsed: float = 1.0) -> None:
        """Predict a state in place, `elapsed` frames ahead."""

    @abstractmethod
    def update(self, motion: Floats, measurements: Floats, noise: Floats | float = 1.0) -> None:
        """Correct a state in place by one measurement (4, T) of each tracklet.

        `noise` (T,) multiplies the variances of the measurements.
        """


class IndependentFilter(Filter):
    """The equations for independent coordinates; a subclass defines these and their noise."""

    state_shape = (5, 4)

    @abstractmethod
    def initial_noise(self, coordinates: Floats) -> Floats:
        """Return variances (2, 4, n) of position and velocity after a first measurement (4, n)."""

    @abstractmethod
    def process_noise(self, coordinates: Floats) -> Floats:
        """Return variances that a frame adds to position and velocity, (2, 4, T) or (2, 4, 1)."""

    @abstractmethod
    def measurement_noise(self, coordinates: Floats) -> Floats:
        """Return the variances of a measurement of the state's coordinates, (4, T) or (4, 1)."""

    def initiate(self, measurements: Floats) -> Floats:
        """Return the motion (5, 4, n) of tracklets created at rest from a measurement (4, n)."""
        motion = np.zeros((5, *measurements.shape))
        motion[POSITION] = measurements
        motion[VARIANCES] = self.initial_noise(measurements)
        return motion

    def predict(self, motion: Floats, elapsed: float = 1.0) -> None:
        """Predict `motion` (5, 4, T) in place, `elapsed` frames ahead."""
        position, velocity, covariance, position_variance, velocity_variance = motion
        noise = self.process_noise(position)
        position += elapsed * velocity
        # F P F' for F = [[1, e], [0, 1]]: the variance takes the covariance before and after.
        position_variance += elapsed * covariance
        covariance += elapsed * velocity_variance
        position_variance += elapsed * covariance
        motion[VARIANCES] += elapsed * noise

    def innovation_variance(self, motion: Floats, noise: Floats | float = 1.0) -> Floats:
        """Return the variances (4, T) of the predicted measurements; `noise` as in `update`."""
        measured = noise * self.measurement_noise(motion[POSITION])
        variance: Floats = motion[POSITION_VARIANCE] + measured
        return variance

    def update(self, motion: Floats, measurements: Floats, noise: Floats | float = 1.0) -> None:
        """Correct `motion` (5, 4, T) by one measurement (4, T) of each tracklet, in place."""
        variance = self.innovation_variance(motion, noise)  # (4, T)
        innovation = measurements - motion[POSITION]  # (4, T)
        gain = motion[COVARIANCE : POSITION_VARIANCE + 1] / variance  # (2, 4, T) velocity, position
        motion[POSITION] += gain[1] * innovation
        motion[VELOCITY] += gain[0] * innovation
        motion[VELOCITY_VARIANCE] -= gain[0] * motion[COVARIANCE]
        motion[COVARIANCE : POSITION_VARIANCE + 1] -= gain * motion[POSITION_VARIANCE]

    def gate(
        self, motion: Floats, measurements: Floats, limit: float = CHI2_95
    ) -> tuple[Indices, Indices, Floats]:
        """Return pairs with a squared Mahalanobis distance of at most `limit`, and that distance.

        `motion` (5, 4, T) with measurements (4, n) gives tracklets, detections and distances,
        (K,) each, in the order of the tracklets and, within one, of the detections.
        """
        variance = self.innovation_variance(motion)
        expected = motion[POSITION]
        # Most pairs already fail in their first coordinate, which is all that is done densely.
        offsets = expected[0][:, None] - measurements[0]  # (T, n)
        close = offsets * offsets <= (limit * variance[0])[:, None]  # (T, n)
        rows, cols = np.divmod(
            close.ravel().nonzero()[0], max(measurements.shape[1], 1)
        )  # (K,), (K,)
        offsets = expected.take(rows, axis=1) - measurements.take(cols, axis=1)  # (4, K)
        distances = (offsets * offsets / variance.take(rows, axis=1)).sum(axis=0)  # (K,)
        inside = distances <= limit
        return rows[inside], cols[inside], distances[inside]


class HeightFilter(IndependentFilter):
    """Centre x, centre y, width / height, height; the noise grows with the height.

    The filter of DeepSORT (Wojke et al., ICIP 2017, §2.1) that JDE, FairMOT, CSTrack, OUTrack and
    ByteTrack keep: standard deviations are 1/20 of the height for positions and 1/160 of it for
    velocities, and constants for the aspect ratio.
    """

    HEIGHT = 3  # which of the coordinates it is
    SIZE_VELOCITY = VELOCITY, HEIGHT

    _BY_HEIGHT = np.array([[1, 1, 0, 1], [1, 1, 0, 1]])[..., None]  # (2, 4, 1)
    _ASPECT = np.array([[0, 0, 1, 0], [0, 0, 1, 0]])[..., None]
    _DEVIATION = np.array([1 / 20, 1 / 160])[:, None, None]
    _ASPECT_DEVIATION = np.array([1e-2, 1e-5])[:, None, None]

    _PROCESS = (_BY_HEIGHT * _DEVIATION) ** 2, (_ASPECT * _ASPECT_DEVIATION) ** 2
    _FIRST = _PROCESS[0] * np.array([2, 10])[:, None, None] ** 2, _PROCESS[1]
    _MEASUREMENT = _PROCESS[0][0], _ASPECT[0] * 1e-1**2

    @staticmethod
    def measurements(boxes: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return centre, width / height and height (4, n) of boxes (n, 4)."""
        corners = np.ascontiguousarray(boxes.T)  # (4, n)
        sides = corners[2:] - corners[:2]  # in the precision of the boxes, as the authors do
        coordinates = np.empty(corners.shape)
        np.multiply(sides, 0.5, out=coordinates[:2])
        coordinates[:2] += corners[:2]
        np.divide(sides[0], sides[1], out=coordinates[2], dtype=np.float64)
        coordinates[3] = sides[1]
        return coordinates

    @staticmethod
    def boxes(coordinates: Floats) -> Floats:
        """Return the boxes (n, 4) of centres, aspect ratios and heights (4, n)."""
        half = coordinates[2:] * 0.5  # (2, n) of the aspect ratio and the height
        half[0] *= coordinates[3]
        return corners_of(coordinates[:2], half)

    def initial_noise(self, coordinates: Floats) -> Floats:
        """Return twice the deviation of a frame for positions, ten times for velocities."""
        return self._noise(self._FIRST, coordinates)

    def process_noise(self, coordinates: Floats) -> Floats:
        """Return noise that grows with the height of the tracklet before the prediction."""
        return self._noise(self._PROCESS, coordinates)

    def measurement_noise(self, coordinates: Floats) -> Floats:
        """Return noise that grows with the predicted height of the tracklet."""
        return self._noise(self._MEASUREMENT, coordinates)

    @staticmethod
    def _noise(by: tuple[Floats, Floats], coordinates: Floats) -> Floats:
        noise: Floats = by[0] * np.square(coordinates[3]) + by[1]
        return noise


class AreaFilter(IndependentFilter):
    """Centre x, centre y, area, width / height; constant noise, and the ratio has no velocity.

    The filter of SORT (Bewley et al., ICIP 2016, §3.2) with the values of its published code.
    """

    _VELOCITY = np.array([1, 1, 1, 0.0])
    _FIRST = np.array([[10, 10, 10, 10], 10_000 * _VELOCITY])[..., None]  # (2, 4, 1)
    _PROCESS = np.array([[1, 1, 1, 1], [1e-2, 1e-2, 1e-4, 0]])[..., None]  # (2, 4, 1)
    _MEASUREMENT = np.array([1, 1, 10, 10.0])[:, None]  # (4, 1)

    @staticmethod
    def measurements(boxes: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return centre, area and width / height (4, n) of boxes (n, 4)."""
        corners = np.ascontiguousarray(boxes.T, np.float64)  # (4, n)
        sides = corners[2:] - corners[:2]
        coordinates = np.empty(corners.shape)
        np.multiply(sides, 0.5, out=coordinates[:2])
        coordinates[:2] += corners[:2]
        np.multiply(sides[0], sides[1], out=coordinates[2])
        np.divide(sides[0], sides[1], out=coordinates[3])
        return coordinates

    @staticmethod
    def boxes(coordinates: Floats) -> Floats:
        """Return the boxes (n, 4) of centres, areas and ratios (4, n), both positive."""
        half = np.empty((2, coordinates.shape[1]))
        np.sqrt(coordinates[2] * coordinates[3], out=half[0])
        np.divide(coordinates[2], half[0], out=half[1])
        half *= 0.5
        return corners_of(coordinates[:2], half)

    def initial_noise(self, coordinates: Floats) -> Floats:
        """Return small variances of position and large ones of the velocity, which is unknown."""
        return self._FIRST

    def process_noise(self, coordinates: Floats) -> Floats:
        """Return the same variances for every tracklet, (2, 4, 1)."""
        return self._PROCESS

    def measurement_noise(self, coordinates: Floats) -> Floats:
        """Return the same variances for every tracklet, (4, 1)."""
        return self._MEASUREMENT

    def predict(self, motion: Floats, elapsed: float = 1.0) -> None:
        """Predict `motion` on; an area that would vanish stops shrinking first."""
        area, change = motion[POSITION, 2], motion[VELOCITY, 2]
        vanishing = (area + elapsed * change <= 0).nonzero()[0]
        change[vanishing] = 0
        super().predict(motion, elapsed)


def corners_of(centre: Floats, half: Floats) -> Floats:
    """Return the boxes (n, 4) of centres (2, n) and half sides (2, n)."""
    corners = np.empty((4, centre.shape[1]))
    np.subtract(centre, half, out=corners[:2])
    np.add(centre, half, out=corners[2:])
    return corners.T
