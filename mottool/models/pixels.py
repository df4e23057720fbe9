"""The forms that networks take their colours in."""

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["FORMS", "IMAGENET_DEVIATION", "IMAGENET_MEAN", "planes"]

# Blue, green, red from 0 to 255; red, green, blue; the latter from 0 to 1; and that normalised.
FORMS = ("bgr255", "rgb255", "rgb1", "imagenet")
# Of red, green and blue from 0 to 1, over the images of ImageNet.
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def planes(image: npt.NDArray[np.uint8], form: str) -> npt.NDArray[np.float32]:
    """An image (h, w, 3) BGR as planes (3, h, w) float32 in one of `FORMS`."""
    channels = cv2.split(image)
    if form != "bgr255":
        channels = channels[::-1]
    stacked = np.stack(channels).astype(np.float32)  # (3, h, w)
    if form in {"rgb1", "imagenet"}:
        stacked /= 255
    if form == "imagenet":
        stacked -= IMAGENET_MEAN[:, None, None]
        stacked /= IMAGENET_DEVIATION[:, None, None]
    return stacked
