"""What a network said of a frame, drawn under the tracks: detections, where people hide others.

The heatmap with its centres is what Fig. 9 shows of Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online
multi-object tracking with unsupervised re-identification learning and occlusion estimation",
Neurocomputing 2022.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.drawing.overlay import BoxStyle, Overlay
from mottool.drawing.track_layer import VisibleBoxes, unseen

__all__ = ["DetectionLayers", "draw_centres", "draw_detections", "draw_heatmap"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

DETECTION = BoxStyle((255, 255, 255))
CENTRE = BoxStyle((66, 228, 240))  # the yellow of Okabe and Ito's palette, BGR
GUESS = BoxStyle((250, 250, 250), label="7", dashed=True)
NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.uint16))
STRONGEST = 0.8  # opacity of the heatmap where the score is 1
SHADE = (32, 32, 32)


def draw_detections(overlay: Overlay, image: Image, boxes: Floats, scores: Floats) -> Image:
    """A copy of the image with boxes (n, 4) x1 y1 x2 y2 thin in white, scores (n,) in them.

    The scores stand inside the lower edge, out of the way of the tracks' labels.
    """
    looks = [DETECTION] * len(boxes)
    image = overlay.boxes(image, boxes, looks)
    for (x1, _, _, y2), score in zip(boxes.tolist(), scores.tolist(), strict=True):
        overlay.tell(image, f"{score:.2f}", x1, y2)
    return image


def draw_heatmap(image: Image, scores: npt.NDArray[np.uint8], stride: int) -> Image:
    """The image (H, W, 3) under a heatmap (h, w) of a network whose cells are `stride` pixels.

    `scores` are 255 times each cell's; what scores nothing shows the image as it is. The network
    saw the frame at the largest scale that fits, in the middle, as a cache's `/occlusion/maps` do.
    """
    height, width = image.shape[:2]
    rows, columns = (side * stride for side in scores.shape)
    scale = min(columns / width, rows / height)
    # From the middle of a frame's pixel to the place in the map that lies under it.
    x = ((np.arange(width) + 0.5 - width / 2) * scale + columns / 2) / stride - 0.5
    y = ((np.arange(height) + 0.5 - height / 2) * scale + rows / 2) / stride - 0.5
    across, down = np.meshgrid(x.astype(np.float32), y.astype(np.float32))  # (H, W) each
    seen = cv2.remap(
        scores, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )  # (H, W)
    # The root lets weak scores be seen, too.
    opacity = (STRONGEST * np.sqrt(np.asarray(seen, np.float32) / 255))[..., None]  # (H, W, 1)
    colours = cv2.applyColorMap(seen, cv2.COLORMAP_INFERNO)  # (H, W, 3)
    mixed = image * (1 - opacity) + np.asarray(colours) * opacity
    return np.asarray(np.rint(mixed), np.uint8)


def draw_centres(overlay: Overlay, image: Image, centres: Floats, scores: bool = True) -> Image:
    """A copy of the image with occlusion centres (k, 3) x, y, score as crosses.

    Their `scores` are written beside them, for where no heatmap shows how strong they are.
    """
    image, size = image.copy(), 9 * overlay.line
    for x, y, score in centres.tolist():
        place = round(x), round(y)
        for colour, width in ((SHADE, overlay.line + 2), (CENTRE.colour, overlay.line)):
            cv2.drawMarker(image, place, colour, cv2.MARKER_TILTED_CROSS, size, width, cv2.LINE_AA)
        if scores:
            overlay.tell(image, f"{score:.2f}", x + size, y + size)
    return image


class DetectionLayers:
    """What an open cache says of each frame, drawn as the frames pass.

    `scale` is the video's share of the source. Frames come in order, each once or not at all.
    """

    def __init__(
        self,
        cache: Cache,
        scale: float,
        first: int,
        detections: bool,
        occlusion: bool,
        guesses: bool,
    ) -> None:
        """Begin at frame `first`; draw detections, occlusions, and tell the tracker's guesses."""
        self._cache, self._scale = cache, scale
        self._detections, self._occlusion, self._guesses = detections, occlusion, guesses
        self._frames = cache.frames(first - 1)
        self._next, self._now = first, NOTHING
        self.legend: list[tuple[BoxStyle, str]] = []
        if detections:
            self.legend.append((DETECTION, "detection"))
        if occlusion:
            self.legend.append((CENTRE, "occlusion centre"))
        if guesses:
            self.legend.append((GUESS, "no detection"))

    def under(self, overlay: Overlay, image: Image, number: int) -> Image:
        """The image (H, W, 3) of frame `number` with what was asked for drawn over it."""
        while self._next <= number:
            self._now = next(self._frames, NOTHING)
            self._next += 1
        scale, now = self._scale, self._now
        if self._occlusion:
            maps = self._cache.has_occlusion_maps
            if maps and number <= self._cache.frame_count:
                scores = self._cache.occlusion_map(number - 1)
                image = draw_heatmap(image, scores, self._cache.occlusion_stride)
            centres = now.occlusion_centres * [scale, scale, 1]
            image = draw_centres(overlay, image, centres, scores=not maps)
        if self._detections:
            image = draw_detections(overlay, image, now.boxes * scale, now.scores)
        return image

    def marked(self, shown: VisibleBoxes) -> VisibleBoxes:
        """The frame's tracks, those that lie on no detection marked where that is asked."""
        return unseen(shown, self._now, self._scale) if self._guesses else shown
