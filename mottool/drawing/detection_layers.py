"""Layers of a cache below the tracks: detections, occlusion heatmap and occlusion centres.

Heatmap and centres are drawn as in Fig. 9 of Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online
multi-object tracking with unsupervised re-identification learning and occlusion estimation",
Neurocomputing 2022.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.drawing.overlay import DARK, BoxStyle, Overlay
from mottool.drawing.track_layer import VisibleBoxes, mark_undetected

__all__ = ["DetectionLayers", "draw_centres", "draw_detections", "draw_heatmap"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

DETECTION = BoxStyle((255, 255, 255))
CENTRE = BoxStyle((66, 228, 240))  # yellow of Okabe and Ito's palette, BGR
UNDETECTED = BoxStyle((250, 250, 250), dashed=True)
EMPTY = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.uint16))
MAX_OPACITY = 0.8  # of the heatmap, where the score is 1


def draw_detections(overlay: Overlay, image: Image, boxes: Floats, scores: Floats) -> Image:
    """Return a copy of the image with thin white boxes (n, 4) x1 y1 x2 y2 and their scores (n,).

    The scores are inside the lower edge, where they do not cover the captions of tracks.
    """
    image = overlay.draw_boxes(image, boxes, [DETECTION] * len(boxes))
    for (x1, _, _, y2), score in zip(boxes.tolist(), scores.tolist(), strict=True):
        overlay.write_text(image, f"{score:.2f}", x1, y2)
    return image


def draw_heatmap(image: Image, scores: npt.NDArray[np.uint8], stride: int) -> Image:
    """Blend the image (H, W, 3) with a heatmap (h, w) whose cells are `stride` network pixels wide.

    `scores` are 255 times the score of each cell; where they are 0 the image is unchanged. The
    network's input is the frame at the largest scale that fits, centred, as in `/occlusion/maps` of
    a cache.
    """
    height, width = image.shape[:2]
    rows, columns = (side * stride for side in scores.shape)
    scale = min(columns / width, rows / height)
    # From the centres of the frame's pixels to coordinates in the map.
    x = ((np.arange(width) + 0.5 - width / 2) * scale + columns / 2) / stride - 0.5
    y = ((np.arange(height) + 0.5 - height / 2) * scale + rows / 2) / stride - 0.5
    map_x, map_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))  # (H, W) each
    resampled = cv2.remap(
        scores, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )  # (H, W)
    # The square root makes low scores visible.
    opacity = (MAX_OPACITY * np.sqrt(np.asarray(resampled, np.float32) / 255))[..., None]
    colours = cv2.applyColorMap(resampled, cv2.COLORMAP_INFERNO)  # (H, W, 3)
    blended = image * (1 - opacity) + np.asarray(colours) * opacity
    return np.asarray(np.rint(blended), np.uint8)


def draw_centres(overlay: Overlay, image: Image, centres: Floats, scores: bool = True) -> Image:
    """Return a copy of the image with occlusion centres (k, 3) x, y, score as crosses.

    With `scores` the score is written beside each cross, for use without a heatmap.
    """
    image, size = image.copy(), 9 * overlay.line_width
    for x, y, score in centres.tolist():
        point = round(x), round(y)
        for colour, width in ((DARK, overlay.line_width + 2), (CENTRE.colour, overlay.line_width)):
            cv2.drawMarker(image, point, colour, cv2.MARKER_TILTED_CROSS, size, width, cv2.LINE_AA)
        if scores:
            overlay.write_text(image, f"{score:.2f}", x + size, y + size)
    return image


class DetectionLayers:
    """Layers of an open cache, drawn frame by frame.

    `scale` is the video's size over the source's. Frames come in order; some may be skipped.
    """

    def __init__(
        self,
        cache: Cache,
        scale: float,
        first: int,
        detections: bool,
        occlusion: bool,
        undetected: bool,
    ) -> None:
        """Start at frame `first`; draw detections and occlusions, and mark undetected tracks."""
        self._cache, self._scale = cache, scale
        self._detections, self._occlusion, self._undetected = detections, occlusion, undetected
        first = max(first, cache.first_frame)
        self._frames = cache.frames(first - cache.first_frame)
        self._next, self._current = first, EMPTY
        entries = (
            (detections, DETECTION, "detection"),
            (occlusion, CENTRE, "occlusion centre"),
            (undetected, UNDETECTED, "no detection"),
        )
        self.legend = [(style, text) for drawn, style, text in entries if drawn]

    def draw(self, overlay: Overlay, image: Image, number: int) -> Image:
        """Return the image (H, W, 3) of frame `number` with the chosen layers drawn over it."""
        while self._next <= number:
            self._current = next(self._frames, EMPTY)
            self._next += 1
        scale, current = self._scale, self._current
        if self._occlusion:
            has_maps = self._cache.has_occlusion_maps
            if has_maps and self._cache.first_frame <= number <= self._cache.last_frame:
                scores = self._cache.occlusion_map(number - self._cache.first_frame)
                image = draw_heatmap(image, scores, self._cache.occlusion_stride)
            centres = current.occlusion_centres * [scale, scale, 1]
            image = draw_centres(overlay, image, centres, scores=not has_maps)
        if self._detections:
            image = draw_detections(overlay, image, current.boxes * scale, current.scores)
        return image

    def mark(self, visible: VisibleBoxes) -> VisibleBoxes:
        """Return the frame's tracks, with undetected ones marked if that is chosen."""
        if not self._undetected:
            return visible
        return mark_undetected(visible, self._current, self._scale)
