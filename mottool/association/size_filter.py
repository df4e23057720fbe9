"""BoT-SORT's Kalman filter: centre, width and height, with correlations between coordinates.

Aharon, Orfaig & Bobrovsky, "BoT-SORT: Robust Associations Multi-Pedestrian Tracking",
arXiv 2206.14651, §3.1 and 3.2. A camera that rolls turns the coordinates into each other, so the
covariance is a full 8x8 matrix. The state of T tracklets is an array (9, 8, T): the mean of the
coordinates and their velocities, then the covariance.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.motion import Filter, corners_of

__all__ = ["SizeFilter"]

Floats = npt.NDArray[np.float64]

MEAN, COVARIANCE = 0, slice(1, 9)
COORDINATES, VELOCITIES = slice(0, 4), slice(4, 8)
DIAGONAL = np.arange(8)
SIDES = np.array([2, 3] * 4)  # the side that the noise of each element is relative to


class SizeFilter(Filter):
    """Centre x, centre y, width, height; the noise of x grows with the width, of y with the height.

    Standard deviations are 1/20 of the side for positions and 1/160 of it for velocities (Eq. 5).
    """

    state_shape = (9, 8)
    SIZE_VELOCITY = MEAN, slice(6, 8)

    _DEVIATION = np.repeat([1 / 20, 1 / 160], 4)[:, None]  # (8, 1)
    _FIRST = np.repeat([2 / 20, 10 / 160], 4)[:, None]

    @staticmethod
    def measurements(boxes: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return centre, width and height (4, n) of boxes (n, 4)."""
        corners = boxes.T  # (4, n)
        coordinates = np.empty(corners.shape)
        np.subtract(corners[2:], corners[:2], out=coordinates[2:], dtype=boxes.dtype)
        coordinates[:2] = corners[:2] + coordinates[2:] / 2
        return coordinates

    @staticmethod
    def boxes(coordinates: Floats) -> Floats:
        """Return the boxes (n, 4) of means or coordinates (4 or more, n)."""
        return corners_of(coordinates[:2], coordinates[2:4] / 2)

    def initiate(self, measurements: Floats) -> Floats:
        """Return the state (9, 8, n) of tracklets created at rest from a measurement (4, n)."""
        motion = np.zeros((*self.state_shape, measurements.shape[1]))
        motion[MEAN, COORDINATES] = measurements
        motion[COVARIANCE][DIAGONAL, DIAGONAL] = _variances(self._FIRST, measurements)
        return motion

    def predict(self, motion: Floats, elapsed: float = 1.0) -> None:
        """Predict a state (9, 8, T) in place, `elapsed` frames ahead."""
        mean, covariance = motion[MEAN], motion[COVARIANCE]
        noise = _variances(self._DEVIATION, mean)
        mean[COORDINATES] += elapsed * mean[VELOCITIES]
        covariance[COORDINATES] += elapsed * covariance[VELOCITIES]
        covariance[:, COORDINATES] += elapsed * covariance[:, VELOCITIES]
        covariance[DIAGONAL, DIAGONAL] += elapsed * noise

    def update(self, motion: Floats, measurements: Floats, noise: Floats | float = 1.0) -> None:
        """Correct a state (9, 8, T) in place by one measurement (4, T) of each tracklet."""
        mean, covariance = motion[MEAN], motion[COVARIANCE]
        observed = covariance[COORDINATES].transpose(2, 0, 1)  # (T, 4, 8)
        expected = observed[:, :, COORDINATES].copy()  # (T, 4, 4)
        measured = noise * _variances(self._DEVIATION, mean)[COORDINATES]  # (4, T)
        expected[:, DIAGONAL[:4], DIAGONAL[:4]] += measured.T
        gain = np.linalg.solve(expected, observed).transpose(0, 2, 1)  # (T, 8, 4)
        innovation = measurements - mean[COORDINATES]  # (4, T)
        change = gain @ observed  # (T, 8, 8)
        mean += np.einsum("tij,jt->it", gain, innovation)
        covariance -= change.transpose(1, 2, 0)

    @staticmethod
    def follow_camera(motion: Floats, warp: Floats) -> None:
        """Move a state (9, 8, T) in place by the map (2, 3) of the background (Eq. 6 to 9)."""
        turn = np.kron(np.eye(4), warp[:, :2])  # (8, 8)
        motion[MEAN] = turn @ motion[MEAN]
        motion[MEAN, :2] += warp[:, 2:]
        covariance = motion[COVARIANCE].transpose(2, 0, 1)  # (T, 8, 8)
        motion[COVARIANCE] = (turn @ covariance @ turn.T).transpose(1, 2, 0)


def _variances(deviation: Floats, coordinates: Floats) -> Floats:
    """Return variances (8, T) for deviations (8, 1) that are relative to width and height."""
    variances: Floats = np.square(deviation * coordinates[SIDES])
    return variances
