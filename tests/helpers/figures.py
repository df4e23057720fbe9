"""A synthetic street for training: a few figures of different colours that walk and cross."""

from pathlib import Path

import cv2
import numpy as np

__all__ = ["street"]

COLOURS = [(40, 40, 220), (60, 200, 60), (220, 90, 40), (40, 210, 230), (200, 60, 200)]


def street(
    folder: Path, frames: int = 8, people: int = 3, size: tuple[int, int] = (128, 96), seed: int = 0
) -> Path:
    """Draw a MOTChallenge folder of PNG images with MOT17's columns and exact boxes."""
    draw = np.random.default_rng(seed)
    width, height = size
    (folder / "img1").mkdir(parents=True)
    (folder / "gt").mkdir()
    ground = draw.integers(90, 130, (height, width, 3), np.uint8)
    tall = draw.uniform(0.36, 0.5, people) * height
    wide = 0.42 * tall
    steps = np.linspace(0.1, 0.9, people)
    left = steps * (width - wide)
    top = draw.uniform(0.05, 0.95, people) * (height - tall)
    speed = np.where(np.arange(people) % 2, -1, 1) * draw.uniform(0.01, 0.02, people) * width
    rows = []
    for frame in range(1, frames + 1):
        image = ground.copy()
        for person in np.argsort(top + tall):
            x, y = left[person] + speed[person] * (frame - 1), top[person]
            x1, y1, x2, y2 = (round(side) for side in (x, y, x + wide[person], y + tall[person]))
            if x1 < 0 or x2 > width:
                continue
            shirt = COLOURS[person % len(COLOURS)]
            middle = (y1 + y2) // 2
            cv2.rectangle(image, (x1, middle), (x2 - 1, y2 - 1), (30, 30, 30), -1)
            cv2.rectangle(image, (x1, y1), (x2 - 1, middle), shirt, -1)
            cv2.circle(image, ((x1 + x2) // 2, y1 + 5), 4, (180, 200, 230), -1)
            rows.append(f"{frame},{person + 1},{x1},{y1},{x2 - x1},{y2 - y1},1,1,1")
        cv2.imwrite(str(folder / "img1" / f"{frame:06d}.png"), image)
    (folder / "gt/gt.txt").write_text("\n".join(rows) + "\n")
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={folder.name}\nimDir=img1\nframeRate=10\nseqLength={frames}\n"
        f"imWidth={width}\nimHeight={height}\nimExt=.png\n"
    )
    return folder
