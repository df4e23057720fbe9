"""Draw a video of walking people with known boxes, to measure speed on when no video is given."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mottool.drawing.video_writer import video_writer

__all__ = ["BOXES", "VIDEO", "draw_scene"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

VIDEO, BOXES = "scene.mp4", "det.txt"
WIDTH, HEIGHT, RATE = 1920, 1080, 30
QUALITY = 20  # x264's constant rate factor; about the bit rate of a surveillance camera
HORIZON = 300  # row of the image where the street ends
STEP = 0.07  # strides per pixel walked, as a phase in radians
NEAR_HEIGHT = 560  # pixels, of a person whose feet are on the last row
SKIN = ((140, 175, 225), (60, 85, 130), (165, 195, 235))  # BGR


@dataclass(frozen=True)
class Walker:
    """A drawn person: position of the feet in the first frame, speed in pixels per frame."""

    x: float
    y: float
    speed: float
    shirt: tuple[int, int, int]
    trousers: tuple[int, int, int]
    skin: tuple[int, int, int]

    def box(self, frame: int) -> Floats:
        """Return the box x1 y1 x2 y2 in pixels; a person leaves on one side, enters on the other.

        The height depends on the row of the feet only, as on a flat street.
        """
        tall = NEAR_HEIGHT * (self.y - HORIZON) / (HEIGHT - HORIZON)
        wide = 0.36 * tall
        x = (self.x + self.speed * frame) % WIDTH
        return np.array([x - wide / 2, self.y - tall, x + wide / 2, self.y], np.float32)


def draw_scene(folder: Path, frames: int, people: int) -> tuple[Path, Path]:
    """Draw `people` persons walking for a number of frames; return the video and their boxes.

    The video is 1920x1080, and the boxes are a file of detections in MOTChallenge's format.
    """
    walkers = list(_walkers(people, np.random.default_rng(3)))
    street = _street(np.random.default_rng(4))
    rows = []
    with video_writer(folder / VIDEO, RATE, QUALITY) as video:
        for frame in range(frames):
            image = street.copy()
            for walker in sorted(walkers, key=lambda walker: walker.y):
                _draw(image, walker, frame)
                left, top, right, bottom = walker.box(frame)
                box = f"{left:.1f},{top:.1f},{right - left:.1f},{bottom - top:.1f}"
                rows.append(f"{frame + 1},-1,{box},1,-1,-1,-1\n")
            video.write(image, frame / RATE)
    (folder / BOXES).write_text("".join(rows))
    return folder / VIDEO, folder / BOXES


def _walkers(count: int, draw: np.random.Generator) -> Iterator[Walker]:
    for _ in range(count):
        shirt, trousers = draw.integers(30, 230, (2, 3)).tolist()
        yield Walker(
            x=float(draw.uniform(0, WIDTH)),
            y=float(draw.uniform(HORIZON + 120, HEIGHT)),
            speed=float(draw.choice([-1, 1]) * draw.uniform(2, 5)),
            shirt=tuple(shirt),
            trousers=tuple(trousers),
            skin=SKIN[int(draw.integers(len(SKIN)))],
        )


def _street(draw: np.random.Generator) -> Image:
    """Return an empty street with a texture that an encoder cannot remove."""
    image = np.full((HEIGHT, WIDTH, 3), (120, 124, 128), np.uint8)
    image[:HORIZON] = (205, 190, 175)
    for left in range(0, WIDTH, 160):
        shade = draw.integers(90, 190, 3).tolist()
        top = int(draw.integers(20, HORIZON - 60))
        cv2.rectangle(image, (left, top), (left + 150, HORIZON), shade, -1)
    texture = draw.normal(0, 9, image.shape)
    return np.asarray((image + texture).clip(0, 255), np.uint8)


def _draw(image: Image, walker: Walker, frame: int) -> None:
    """Draw a person whose legs swing."""
    left, top, right, bottom = walker.box(frame)
    x, tall = (left + right) / 2, bottom - top
    swing = 0.12 * tall * np.sin(walker.x + walker.speed * frame * STEP)
    waist = round(float(x)), round(float(top + 0.52 * tall))
    thick = max(2, round(0.1 * float(tall)))
    for side in (-1, 1):
        foot = round(float(x + side * swing)), round(float(bottom - 0.05 * tall))
        cv2.line(image, waist, foot, walker.trousers, thick, cv2.LINE_AA)
    chest = round(float(x)), round(float(top + 0.36 * tall))
    axes = round(0.11 * float(tall)), round(0.21 * float(tall))
    cv2.ellipse(image, chest, axes, 0, 0, 360, walker.shirt, -1, cv2.LINE_AA)
    head = round(float(x)), round(float(top + 0.08 * tall))
    cv2.circle(image, head, round(0.07 * float(tall)), walker.skin, -1, cv2.LINE_AA)
