"""Estimate camera motion: the affine map of the background from one frame to the next.

The maps (2, 3) are in pixels of the original frames: `warp[:, :2] @ point + warp[:, 2]` is where a
resting point of the previous frame is in this one. A frame that cannot be compared with its
predecessor has the identity: the first frame, and frames without texture.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["METHODS", "CorrelationMotion", "ORBMotion", "SIFTMotion", "SparseFlowMotion"]

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]

MIN_POINTS = 5  # tracked corners, below which no motion is estimated
CORNERS = {"maxCorners": 1000, "qualityLevel": 0.01, "minDistance": 1, "blockSize": 3}
BORDER = 0.02  # share of a side in which no keypoints are sought
MAX_RATIO = 0.9  # of a match's distance to that of the second best
MAX_SHIFT = 0.25  # of a keypoint between frames, as a share of the sides
MAX_DEVIATIONS = 2.5  # standard deviations by which a keypoint's shift may exceed the mean
SIFT_CONTRAST, SIFT_EDGE = 0.02, 20
FAST_THRESHOLD = 20  # grey levels
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
        grey = _reduced_grey(image, self._downscale)
        warp = np.eye(2, 3)
        if self._previous is not None and self._corners is not None:
            warp = self._estimate(self._previous, grey, self._corners)
        self._previous = grey
        self._corners = cv2.goodFeaturesToTrack(grey, mask=None, **CORNERS)  # type: ignore
        return warp

    def _estimate(self, previous: Image, grey: Image, corners: npt.NDArray[np.float32]) -> Floats:
        moved, status, _ = cv2.calcOpticalFlowPyrLK(previous, grey, corners, None)  # type: ignore
        tracked = status[:, 0] == 1
        return _fitted(corners[tracked], moved[tracked], self._downscale)


class FeatureMotion:
    """Keypoints of both frames are matched by their descriptors, and RANSAC fits their motion.

    Aharon, Orfaig & Bobrovsky, "BoT-SORT", arXiv 2206.14651, as the published code does it if it
    is given no detections: keypoints on people count like all others.
    """

    def __init__(self, detector: Any, extractor: Any, norm: int, downscale: float) -> None:
        """Compare descriptors by `norm`; divide the sides of the frames by `downscale` first."""
        self._detector, self._extractor = detector, extractor
        self._matcher = cv2.BFMatcher(norm)
        self._downscale = downscale
        self._points: Points = np.zeros((0, 2), np.float32)
        self._descriptors: npt.NDArray[Any] | None = None

    def __call__(self, image: Image) -> Floats:
        """Return the map (2, 3) from the previous frame to the next `image` (H, W, 3) BGR."""
        grey = _reduced_grey(image, self._downscale)
        height, width = grey.shape
        mask = np.zeros_like(grey)
        (top, bottom), (left, right) = (
            (int(BORDER * side), int((1 - BORDER) * side)) for side in (height, width)
        )
        mask[top:bottom, left:right] = 255
        keypoints = self._detector.detect(grey, mask)
        descriptors = None
        if keypoints:
            keypoints, descriptors = self._extractor.compute(grey, keypoints)
        points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
        before, after = self._match(points, descriptors, np.array([width, height]))
        self._points, self._descriptors = points, descriptors
        return _fitted(before, after, self._downscale)

    def _match(
        self, points: Points, descriptors: npt.NDArray[Any] | None, size: npt.NDArray[np.int64]
    ) -> tuple[Points, Points]:
        """Return the matched points (k, 2) of the previous frame and of this one."""
        empty = points[:0], points[:0]
        if self._descriptors is None or descriptors is None or len(descriptors) < 2:
            return empty
        pairs = self._matcher.knnMatch(self._descriptors, descriptors, 2)
        good = [best for best, second in pairs if best.distance < MAX_RATIO * second.distance]
        before = self._points[[match.queryIdx for match in good]]
        after = points[[match.trainIdx for match in good]]
        near = (np.abs(before - after) < MAX_SHIFT * size).all(axis=1)
        before, after = before[near], after[near]
        if not len(before):
            return empty
        shifts = before.astype(np.float64) - after
        inliers = (shifts - shifts.mean(0) < MAX_DEVIATIONS * shifts.std(0)).all(axis=1)
        return before[inliers], after[inliers]


class ORBMotion(FeatureMotion):
    """Keypoints by FAST, with the binary descriptors of ORB."""

    def __init__(self, downscale: float = 2) -> None:
        """Divide the sides of the frames by `downscale` first."""
        detector = cv2.FastFeatureDetector.create(FAST_THRESHOLD)
        super().__init__(detector, cv2.ORB.create(), cv2.NORM_HAMMING, downscale)


class SIFTMotion(FeatureMotion):
    """Keypoints and descriptors by SIFT."""

    def __init__(self, downscale: float = 2) -> None:
        """Divide the sides of the frames by `downscale` first."""
        sift = cv2.SIFT.create(contrastThreshold=SIFT_CONTRAST, edgeThreshold=SIFT_EDGE)
        super().__init__(sift, sift, cv2.NORM_L2, downscale)


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


def _reduced_grey(image: Image, downscale: float) -> Image:
    """Convert an image (H, W, 3) BGR to grey, and divide its sides by `downscale`."""
    grey = _grey(image)
    if downscale <= 1:
        return grey
    height, width = (max(1, int(side // downscale)) for side in grey.shape)
    return np.asarray(cv2.resize(grey, (width, height)), np.uint8)


def _fitted(before: Points, after: Points, downscale: float) -> Floats:
    """Fit the motion of points (k, 2) of reduced images by RANSAC; few points do not move."""
    warp = None
    if len(before) >= MIN_POINTS:
        warp, _ = cv2.estimateAffinePartial2D(before, after)
    return np.eye(2, 3) if warp is None else _enlarged(warp, downscale)


def _enlarged(warp: npt.NDArray[np.generic], scale: float) -> Floats:
    """Convert the map of images whose sides were divided by `scale` to one of the originals."""
    original = warp.astype(np.float64)
    original[:, 2] *= scale
    return original


METHODS: dict[str, Callable[..., Callable[[Image], Floats]]] = {
    "sparse-flow": SparseFlowMotion,
    "orb": ORBMotion,
    "sift": SIFTMotion,
    "ecc": CorrelationMotion,
}
