"""A MOTChallenge sequence of 16-bit images whose values use 12 bits."""

from pathlib import Path

import cv2
import numpy as np
from rowed import rowed

__all__ = ["thermal"]


def thermal(folder: Path, frames: int = 6) -> Path:
    """Write a sequence with ground truth, public detections and textured images of 96x64."""
    rowed(folder, frames)
    info = folder / "seqinfo.ini"
    text = info.read_text().replace("imWidth=640", "imWidth=96")
    info.write_text(text.replace("imHeight=480", "imHeight=64"))
    (folder / "img1").mkdir()
    background = np.random.default_rng(0).integers(0, 4096, (64, 96), np.uint16)
    for frame in range(1, frames + 1):
        image = np.roll(cv2.GaussianBlur(background, (7, 7), 2), frame, axis=1)
        assert cv2.imwrite(str(folder / "img1" / f"{frame:06}.png"), image)
    return folder
