"""Estimate camera motion: the affine map of the background from one frame to the next.

The maps (2, 3) are in pixels of the original frames: `warp[:, :2] @ point + warp[:, 2]` is where a
resting point of the previous frame is in this one. A frame that cannot be compared with its
predecessor has the identity: the first frame, and frames without texture.
"""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["METHODS", "CorrelationMotion", "SparseFlowMotion"]

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

MIN_POINTS = 5  # tracked corners, below which no motion is estimated
CORNERS = {"maxCorners": 1000, "qualityLevel": 0.01, "minDistance": 1, "blockSize": 3}
MAX_ITERATIONS, MIN_INCREMENT = 100, 1e-5  # of the correlation's optimisation


class SparseFlowMotion:
    """Sparse optical flow: corners are tracked into the next frame, and RANSAC fits their motion.

    Aharon, Orfaig & Bobrovsky, "BoT-SORT: Robust Associations Multi-Pedestrian Tracking",
    arXiv 2206.14651, §3.2, as the published code does it: rotation, one scale and translation, at
    half the resolution.
    """

    def __init__(self, downscale: float = 2) -> None:
        """Divide the sides of the frames by `downscale` first."""
        self._downscale = downscale
        self._previous: Image | None = None
        self._corners: npt.NDArray[np.float32] | None = None

    def __call__(self, image: Image) -> Floats:
        """Return the map (2, 3) from the previous frame to the next `image` (H, W, 3) BGR."""
        grey = _grey(image)
        if self._downscale > 1:
            height, width = (max(1, int(side // self._downscale)) for side in grey.shape)
            grey = np.asarray(cv2.resize(grey, (width, height)), np.uint8)
        warp = np.eye(2, 3)
        if self._previous is not None and self._corners is not None:
            warp = self._estimate(self._previous, grey, self._corners)
        self._previous = grey
        self._corners = cv2.goodFeaturesToTrack(grey, mask=None, **CORNERS)  # type: ignore
        return warp

    def _estimate(self, previous: Image, grey: Image, corners: npt.NDArray[np.float32]) -> Floats:
        moved, status, _ = cv2.calcOpticalFlowPyrLK(previous, grey, corners, None)  # type: ignore
        tracked = status[:, 0] == 1
        warp = None
        if np.count_nonzero(tracked) >= MIN_POINTS:
            warp, _ = cv2.estimateAffinePartial2D(corners[tracked], moved[tracked])
        return np.eye(2, 3) if warp is None else _enlarged(warp, self._downscale)


class CorrelationMotion:
    """Enhanced correlation coefficient: rotation and translation that align two small images.

    Evangelidis & Psarakis, "Parametric image alignment using enhanced correlation coefficient
    maximization", PAMI 2008, as the published code of StrongSORT (Du et al., IEEE Transactions on
    Multimedia 2023, §3.2.3) does it, at a tenth of the resolution.
    """

    def __init__(self, downscale: float = 10) -> None:
        """Divide the sides of the frames by `downscale` first."""
        self._downscale = downscale
        self._previous: Image | None = None

    def __call__(self, image: Image) -> Floats:
        """Return the map (2, 3) from the previous frame to the next `image` (H, W, 3) BGR."""
        height, width = (max(1, round(side / self._downscale)) for side in image.shape[:2])
        grey = np.asarray(cv2.resize(_grey(image), (width, height)), np.uint8)
        previous, self._previous = self._previous, grey
        if previous is None:
            return np.eye(2, 3)
        end = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, MAX_ITERATIONS, MIN_INCREMENT
        start = np.eye(2, 3, dtype=np.float32)
        try:
            _, warp = cv2.findTransformECC(
                previous, grey, start, cv2.MOTION_EUCLIDEAN, end, None, 1
            )  # type: ignore
        except cv2.error:  # the images are too different, or without texture
            return np.eye(2, 3)
        return _enlarged(warp, self._downscale)


def _grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _enlarged(warp: npt.NDArray[np.generic], scale: float) -> Floats:
    """Convert the map of images whose sides were divided by `scale` to one of the originals."""
    original = warp.astype(np.float64)
    original[:, 2] *= scale
    return original


METHODS: dict[str, Callable[..., Callable[[Image], Floats]]] = {
    "sparse-flow": SparseFlowMotion,
    "ecc": CorrelationMotion,
}
