"""Draw a short street scene as a MOTChallenge sequence: video, ground truth, public detections.

    python examples/draw_scene.py FOLDER

People of known clothes walk, stop, cross and hide each other and pass behind a lamp post, so that
a tracker can be tried and scored with no data at all. The ground truth has MOT17's columns
(flag, class, visibility); the detections miss, jitter and invent boxes as a detector does.
Everything follows from one seed, and the files are the same at every run.
"""

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT, RATE, FRAMES = 960, 540, 25, 250
HORIZON = 150  # row of the picture where the street ends
FINE = 2  # the scene is drawn this much larger, then reduced: smooth edges
POST, POST_FOOT = -1, 430  # the lamp post among the walkers' numbers, and the row it stands on
SKIN = [(140, 175, 225), (90, 130, 190), (60, 85, 130), (165, 195, 235)]  # BGR
HAIR = [(30, 35, 45), (45, 75, 120), (90, 150, 200), (120, 120, 125)]
SHIRTS = [(70, 60, 200), (190, 110, 40), (80, 160, 70), (50, 180, 230), (225, 225, 225),
          (150, 60, 130), (60, 60, 65), (200, 190, 90), (90, 110, 240), (130, 90, 60)]  # fmt: skip
TROUSERS = [(110, 70, 40), (60, 60, 60), (140, 140, 150), (60, 90, 120), (35, 35, 40)]


@dataclass(frozen=True)
class Walker:
    """One person: where the feet are at the first frame, the pace, and what is worn."""

    x: float  # pixels
    y: float  # row of the feet, pixels
    pace: float  # pixels a frame along x, for someone on row HEIGHT
    drift: float  # pixels a frame along y
    pause: tuple[int, int]  # frames during which this person stands
    tall: float  # 1 = average
    shirt: tuple[int, int, int]
    trousers: tuple[int, int, int]
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]

    def stride(self, frame: int) -> int:
        """Frames walked by frame `frame` (from 0), the pause left out."""
        begin, end = self.pause
        return frame if frame < begin else max(begin, frame - (end - begin))

    def place(self, frame: int) -> tuple[float, float, float]:
        """Column and row of the feet and height of the person, in pixels."""
        walked = self.stride(frame)
        y = self.y + self.drift * walked
        near = (y - HORIZON) / (HEIGHT - HORIZON)
        return self.x + self.pace * near * walked, y, 330 * near * self.tall


def crowd(draw: np.random.Generator) -> list[Walker]:
    """Twelve people, half of them from each side; two groups stop where others pass."""
    people = []
    for number in range(12):
        right = number % 2 == 0
        begin = int(draw.integers(40, 140))
        people.append(
            Walker(
                x=float(draw.uniform(-60, 420) if right else draw.uniform(540, 1020)),
                y=float(draw.uniform(300, 505)),
                pace=float(draw.uniform(2.2, 4.2)) * (1 if right else -1),
                drift=float(draw.uniform(-0.12, 0.12)),
                pause=(begin, begin + (60 if number % 3 == 0 else 0)),
                tall=float(draw.uniform(0.88, 1.08)),
                shirt=SHIRTS[number % len(SHIRTS)],
                trousers=TROUSERS[int(draw.integers(len(TROUSERS)))],
                skin=SKIN[int(draw.integers(len(SKIN)))],
                hair=HAIR[int(draw.integers(len(HAIR)))],
            )
        )
    return people


def street(draw: np.random.Generator) -> np.ndarray:
    """The empty street, (HEIGHT·FINE, WIDTH·FINE, 3) uint8 BGR."""
    height, width, horizon = HEIGHT * FINE, WIDTH * FINE, HORIZON * FINE
    picture = np.empty((height, width, 3), np.uint8)
    rows = np.linspace(0, 1, horizon)[:, None]
    picture[:horizon] = ((1 - rows) * (235, 205, 170) + rows * (240, 232, 222))[:, None]
    rows = np.linspace(0, 1, height - horizon)[:, None]
    picture[horizon:] = ((1 - rows) * (172, 174, 176) + rows * (138, 142, 146))[:, None]
    left = 0
    while left < width:
        right = left + int(draw.integers(90, 220)) * FINE
        roof = horizon - int(draw.integers(50, 130)) * FINE
        wall = tuple(int(shade) for shade in draw.integers(150, 215, 3))
        cv2.rectangle(picture, (left, roof), (right, horizon), wall, -1)
        for x in range(left + 14 * FINE, right - 14 * FINE, 26 * FINE):
            for y in range(roof + 12 * FINE, horizon - 20 * FINE, 30 * FINE):
                pane = tuple(int(shade) - 45 for shade in wall)
                cv2.rectangle(picture, (x, y), (x + 12 * FINE, y + 17 * FINE), pane, -1)
        left = right
    middle = (width // 2, horizon - 60 * FINE)
    for x in range(-2 * width, 3 * width, 160 * FINE):
        line = np.array([middle, (x, height)])
        cut = middle[0] + (x - middle[0]) * (horizon - middle[1]) // (height - middle[1])
        cv2.line(picture, (cut, horizon), tuple(line[1]), (128, 132, 136), FINE, cv2.LINE_AA)
    for step in range(1, 9):
        y = horizon + (height - horizon) * step * step // 64
        cv2.line(picture, (0, y), (width, y), (130, 134, 138), FINE, cv2.LINE_AA)
    return picture


def figure(canvas: np.ndarray, walker: Walker, frame: int) -> None:
    """Paint the person onto `canvas`, legs and arms swinging with the distance walked."""
    x, y, tall = (value * FINE for value in walker.place(frame))
    swing = 0.13 * tall * np.sin(walker.stride(frame) * abs(walker.pace) * 0.085)
    side = np.sign(walker.pace)

    def spot(across: float, up: float) -> tuple[int, int]:
        return round(x + across), round(y - up * tall)

    def limb(begin: tuple[int, int], end: tuple[int, int], thick: float, colour: tuple) -> None:
        cv2.line(canvas, begin, end, colour, max(1, round(thick * tall)), cv2.LINE_AA)

    dark = tuple(int(shade * 0.8) for shade in walker.shirt)
    limb(spot(0, 0.78), spot(swing * 0.9, 0.48), 0.06, dark)
    for sign in (1, -1):
        limb(spot(0, 0.5), spot(sign * swing, 0.04), 0.095, walker.trousers)
        foot = spot(sign * swing, 0.025)
        limb(foot, (round(foot[0] + side * 0.06 * tall), foot[1]), 0.05, (40, 40, 45))
    cv2.ellipse(canvas, spot(0, 0.66), (round(0.095 * tall), round(0.2 * tall)), 0, 0, 360,
                walker.shirt, -1, cv2.LINE_AA)  # fmt: skip
    limb(spot(0, 0.78), spot(-swing * 0.9, 0.48), 0.06, dark)
    limb(spot(-swing * 0.9, 0.48), spot(-swing * 0.95, 0.45), 0.055, walker.skin)
    cv2.circle(canvas, spot(0, 0.93), round(0.068 * tall), walker.hair, -1, cv2.LINE_AA)
    cv2.ellipse(canvas, spot(side * 0.022 * tall, 0.918), (round(0.05 * tall), round(0.058 * tall)),
                0, 0, 360, walker.skin, -1, cv2.LINE_AA)  # fmt: skip


def shadow(canvas: np.ndarray, foot: tuple[float, float], tall: float) -> None:
    """Darken the ground under a person's feet, all in pixels of `canvas`."""
    if canvas.size:
        ground = canvas.copy()
        axes = (round(0.2 * tall), round(0.035 * tall))
        centre = (round(foot[0]), round(foot[1]))
        cv2.ellipse(ground, centre, axes, 0, 0, 360, (95, 98, 102), -1, cv2.LINE_AA)
        cv2.addWeighted(ground, 0.5, canvas, 0.5, 0, canvas)


def lamp_post(canvas: np.ndarray, colour: tuple[int, ...]) -> None:
    """Paint the post that people on rows above its foot pass behind."""
    x, foot = 480 * FINE, POST_FOOT * FINE
    cv2.rectangle(canvas, (x - 9 * FINE, 40 * FINE), (x + 9 * FINE, foot), colour, -1)
    cv2.ellipse(canvas, (x, 40 * FINE), (30 * FINE, 16 * FINE), 0, 180, 360, colour, -1)


def paint(empty: np.ndarray, people: list[Walker], frame: int) -> tuple[np.ndarray, list]:
    """The picture of one frame, and (number, box, visibility) of everyone who is in it.

    People are painted from the back to the front, and once more, each in a plain mask, to count
    which pixels remain visible. A box is left, top, width, height in pixels.
    """
    picture = empty.copy()
    owner = np.zeros(picture.shape[:2], np.uint8)  # whose each pixel is: 0 = street
    areas, boxes = {}, {}
    order = sorted(range(len(people)), key=lambda number: people[number].place(frame)[1])
    order.insert(sum(people[number].place(frame)[1] <= POST_FOOT for number in order), POST)
    for number in order:
        if number == POST:
            lamp_post(picture, (85, 80, 75))
            lamp_post(owner, (0,))
            continue
        x, y, tall = (value * FINE for value in people[number].place(frame))
        top, left = max(0, round(y - 1.05 * tall)), max(0, round(x - 0.4 * tall))
        here = slice(top, round(y + 0.08 * tall)), slice(left, max(left, round(x + 0.4 * tall)))
        shadow(picture[here], (x - left, y - top), tall)
        before = picture[here].copy()
        figure(picture, people[number], frame)
        changed = before != picture[here]
        mask = changed[..., 0] | changed[..., 1] | changed[..., 2]
        owner[here][mask] = number + 1
        areas[number] = mask.sum()
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            corner = (left + columns[0]) / FINE, (top + rows[0]) / FINE
            size = np.ptp(columns) / FINE + 0.5, np.ptp(rows) / FINE + 0.5
            boxes[number] = (*corner, *size)
    visible = np.bincount(owner.ravel(), minlength=len(people) + 1)  # pixels of each owner
    seen = [
        (number, box, float(visible[number + 1] / areas[number]))
        for number, box in sorted(boxes.items())
        if box[2] > 6
    ]
    return cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), seen


def detected(seen: list, draw: np.random.Generator) -> list[tuple]:
    """What a detector might say of a frame: (left, top, width, height, score) rows.

    Hidden people are missed more often and score lower; one box in twenty is false.
    """
    rows = []
    for _, (left, top, width, height), visible in seen:
        if draw.random() > 0.97 * min(1.0, visible * 1.6):
            continue
        shift = draw.normal(0, 0.015, 4) * (width, height, width, height)
        score = np.clip(0.62 + 0.35 * visible + draw.normal(0, 0.06), 0.05, 0.99)
        rows.append((*(np.array([left, top, width, height]) + shift), score))
        if draw.random() < 0.05:
            tall = draw.uniform(60, 200)
            corner = draw.uniform(0, WIDTH - tall), draw.uniform(HORIZON, HEIGHT - tall)
            rows.append((*corner, tall * 0.4, tall, draw.uniform(0.1, 0.7)))
    return rows


def main(folder: Path, frames: int = FRAMES) -> None:
    """Write the first `frames` frames of the sequence into `folder`."""
    draw = np.random.default_rng(7)
    people, empty = crowd(draw), street(draw)
    for name in ("gt", "det"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    truth, found = [], []
    with av.open(str(folder / "scene.mp4"), "w") as container:
        # x264 decides differently with every number of threads, by default that of the cores.
        stream = container.add_stream(
            "libx264", rate=RATE, options={"crf": "18", "preset": "veryfast", "threads": "1"}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for frame in range(frames):
            picture, seen = paint(empty, people, frame)
            image = av.VideoFrame.from_ndarray(picture, format="bgr24")
            container.mux(stream.encode(image))
            for number, box, visible in seen:
                sides = ",".join(f"{side:.1f}" for side in box)
                truth.append(f"{frame + 1},{number + 1},{sides},1,1,{visible:.3f}\n")
            for *box, score in detected(seen, draw):
                sides = ",".join(f"{side:.1f}" for side in box)
                found.append(f"{frame + 1},-1,{sides},{score:.3f},-1,-1,-1\n")
        container.mux(stream.encode(None))
    (folder / "gt/gt.txt").write_text("".join(truth))
    (folder / "det/det.txt").write_text("".join(found))
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={folder.name}\nimDir=scene.mp4\nframeRate={RATE}\n"
        f"seqLength={frames}\nimWidth={WIDTH}\nimHeight={HEIGHT}\nimExt=.mp4\n"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
