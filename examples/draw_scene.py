"""Draw a short street scene as a MOTChallenge sequence: video, ground truth, public detections.

    python examples/draw_scene.py FOLDER

People in clothes of different colours walk, stop, cross and occlude each other, and pass behind a
lamp post, so that a tracker can be tried and scored without any data. The ground truth has MOT17's
columns (flag, class, visibility). The detections have false negatives, noise and false positives,
as a detector's do. One seed determines everything, and the files are the same at every run.
"""

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT, RATE, FRAMES = 960, 540, 25, 250
HORIZON = 150  # row of the image where the street ends
SCALE = 2  # the scene is drawn this much larger, then reduced, for smooth edges
POST, POST_FOOT = -1, 430  # the lamp post's number among the walkers', and the row of its foot
SKIN = [(140, 175, 225), (90, 130, 190), (60, 85, 130), (165, 195, 235)]  # BGR
HAIR = [(30, 35, 45), (45, 75, 120), (90, 150, 200), (120, 120, 125)]
SHIRTS = [(70, 60, 200), (190, 110, 40), (80, 160, 70), (50, 180, 230), (225, 225, 225),
          (150, 60, 130), (60, 60, 65), (200, 190, 90), (90, 110, 240), (130, 90, 60)]  # fmt: skip
TROUSERS = [(110, 70, 40), (60, 60, 60), (140, 140, 150), (60, 90, 120), (35, 35, 40)]


@dataclass(frozen=True)
class Walker:
    """One person: position of the feet in the first frame, speed and colours."""

    x: float  # column of the feet, pixels
    y: float  # row of the feet, pixels
    pace: float  # pixels per frame along x, for a person on row HEIGHT
    drift: float  # pixels per frame along y
    pause: tuple[int, int]  # frames during which this person stands
    relative_height: float  # 1 = average
    shirt: tuple[int, int, int]
    trousers: tuple[int, int, int]
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]

    def frames_walked(self, frame: int) -> int:
        """Return the number of frames walked before `frame` (from 0), without the pause."""
        begin, end = self.pause
        return frame if frame < begin else max(begin, frame - (end - begin))

    def position(self, frame: int) -> tuple[float, float, float]:
        """Return column and row of the feet and height of the person, in pixels."""
        walked = self.frames_walked(frame)
        y = self.y + self.drift * walked
        nearness = (y - HORIZON) / (HEIGHT - HORIZON)
        return self.x + self.pace * nearness * walked, y, 330 * nearness * self.relative_height


def make_people(rng: np.random.Generator) -> list[Walker]:
    """Return twelve people, half of them from each side; some stop where others pass."""
    people = []
    for number in range(12):
        walks_right = number % 2 == 0
        begin = int(rng.integers(40, 140))
        people.append(
            Walker(
                x=float(rng.uniform(-60, 420) if walks_right else rng.uniform(540, 1020)),
                y=float(rng.uniform(300, 505)),
                pace=float(rng.uniform(2.2, 4.2)) * (1 if walks_right else -1),
                drift=float(rng.uniform(-0.12, 0.12)),
                pause=(begin, begin + (60 if number % 3 == 0 else 0)),
                relative_height=float(rng.uniform(0.88, 1.08)),
                shirt=SHIRTS[number % len(SHIRTS)],
                trousers=TROUSERS[int(rng.integers(len(TROUSERS)))],
                skin=SKIN[int(rng.integers(len(SKIN)))],
                hair=HAIR[int(rng.integers(len(HAIR)))],
            )
        )
    return people


def draw_street(rng: np.random.Generator) -> np.ndarray:
    """Draw the empty street, (HEIGHT·SCALE, WIDTH·SCALE, 3) uint8 BGR."""
    height, width, horizon = HEIGHT * SCALE, WIDTH * SCALE, HORIZON * SCALE
    image = np.empty((height, width, 3), np.uint8)
    rows = np.linspace(0, 1, horizon)[:, None]
    image[:horizon] = ((1 - rows) * (235, 205, 170) + rows * (240, 232, 222))[:, None]
    rows = np.linspace(0, 1, height - horizon)[:, None]
    image[horizon:] = ((1 - rows) * (172, 174, 176) + rows * (138, 142, 146))[:, None]
    left = 0
    while left < width:
        right = left + int(rng.integers(90, 220)) * SCALE
        roof = horizon - int(rng.integers(50, 130)) * SCALE
        wall = tuple(int(shade) for shade in rng.integers(150, 215, 3))
        cv2.rectangle(image, (left, roof), (right, horizon), wall, -1)
        for x in range(left + 14 * SCALE, right - 14 * SCALE, 26 * SCALE):
            for y in range(roof + 12 * SCALE, horizon - 20 * SCALE, 30 * SCALE):
                pane = tuple(int(shade) - 45 for shade in wall)
                cv2.rectangle(image, (x, y), (x + 12 * SCALE, y + 17 * SCALE), pane, -1)
        left = right
    middle = (width // 2, horizon - 60 * SCALE)
    for x in range(-2 * width, 3 * width, 160 * SCALE):
        line = np.array([middle, (x, height)])
        cut = middle[0] + (x - middle[0]) * (horizon - middle[1]) // (height - middle[1])
        cv2.line(image, (cut, horizon), tuple(line[1]), (128, 132, 136), SCALE, cv2.LINE_AA)
    for step in range(1, 9):
        y = horizon + (height - horizon) * step * step // 64
        cv2.line(image, (0, y), (width, y), (130, 134, 138), SCALE, cv2.LINE_AA)
    return image


def draw_person(canvas: np.ndarray, walker: Walker, frame: int) -> None:
    """Draw a person onto `canvas`; legs and arms swing with the distance walked."""
    x, y, tall = (value * SCALE for value in walker.position(frame))
    swing = 0.13 * tall * np.sin(walker.frames_walked(frame) * abs(walker.pace) * 0.085)
    side = np.sign(walker.pace)

    def point(across: float, up: float) -> tuple[int, int]:
        return round(x + across), round(y - up * tall)

    def limb(begin: tuple[int, int], end: tuple[int, int], thick: float, colour: tuple) -> None:
        cv2.line(canvas, begin, end, colour, max(1, round(thick * tall)), cv2.LINE_AA)

    dark = tuple(int(shade * 0.8) for shade in walker.shirt)
    limb(point(0, 0.78), point(swing * 0.9, 0.48), 0.06, dark)
    for sign in (1, -1):
        limb(point(0, 0.5), point(sign * swing, 0.04), 0.095, walker.trousers)
        foot = point(sign * swing, 0.025)
        limb(foot, (round(foot[0] + side * 0.06 * tall), foot[1]), 0.05, (40, 40, 45))
    cv2.ellipse(canvas, point(0, 0.66), (round(0.095 * tall), round(0.2 * tall)), 0, 0, 360,
                walker.shirt, -1, cv2.LINE_AA)  # fmt: skip
    limb(point(0, 0.78), point(-swing * 0.9, 0.48), 0.06, dark)
    limb(point(-swing * 0.9, 0.48), point(-swing * 0.95, 0.45), 0.055, walker.skin)
    cv2.circle(canvas, point(0, 0.93), round(0.068 * tall), walker.hair, -1, cv2.LINE_AA)
    face = round(0.05 * tall), round(0.058 * tall)
    cv2.ellipse(canvas, point(side * 0.022 * tall, 0.918), face, 0, 0, 360, walker.skin, -1,
                cv2.LINE_AA)  # fmt: skip


def draw_shadow(canvas: np.ndarray, foot: tuple[float, float], tall: float) -> None:
    """Darken the ground under a person's feet; coordinates are pixels of `canvas`."""
    if canvas.size:
        ground = canvas.copy()
        axes = (round(0.2 * tall), round(0.035 * tall))
        centre = (round(foot[0]), round(foot[1]))
        cv2.ellipse(ground, centre, axes, 0, 0, 360, (95, 98, 102), -1, cv2.LINE_AA)
        cv2.addWeighted(ground, 0.5, canvas, 0.5, 0, canvas)


def draw_lamp_post(canvas: np.ndarray, colour: tuple[int, ...]) -> None:
    """Draw the post that people on rows above its foot pass behind."""
    x, foot = 480 * SCALE, POST_FOOT * SCALE
    cv2.rectangle(canvas, (x - 9 * SCALE, 40 * SCALE), (x + 9 * SCALE, foot), colour, -1)
    cv2.ellipse(canvas, (x, 40 * SCALE), (30 * SCALE, 16 * SCALE), 0, 180, 360, colour, -1)


def draw_frame(empty: np.ndarray, people: list[Walker], frame: int) -> tuple[np.ndarray, list]:
    """Draw one frame; return its image and (number, box, visibility) of all people in it.

    People are drawn from back to front. The map `owner` holds the foremost person at each pixel,
    from which visibility is computed. A box is left, top, width, height in pixels.
    """
    image = empty.copy()
    owner = np.zeros(image.shape[:2], np.uint8)  # 1 + the person's number, or 0 = street
    areas, boxes = {}, {}
    order = sorted(range(len(people)), key=lambda number: people[number].position(frame)[1])
    order.insert(sum(people[number].position(frame)[1] <= POST_FOOT for number in order), POST)
    for number in order:
        if number == POST:
            draw_lamp_post(image, (85, 80, 75))
            draw_lamp_post(owner, (0,))
            continue
        x, y, tall = (value * SCALE for value in people[number].position(frame))
        top, left = max(0, round(y - 1.05 * tall)), max(0, round(x - 0.4 * tall))
        region = slice(top, round(y + 0.08 * tall)), slice(left, max(left, round(x + 0.4 * tall)))
        draw_shadow(image[region], (x - left, y - top), tall)
        before = image[region].copy()
        draw_person(image, people[number], frame)
        changed = before != image[region]
        mask = changed[..., 0] | changed[..., 1] | changed[..., 2]
        owner[region][mask] = number + 1
        areas[number] = mask.sum()
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            corner = (left + columns[0]) / SCALE, (top + rows[0]) / SCALE
            size = np.ptp(columns) / SCALE + 0.5, np.ptp(rows) / SCALE + 0.5
            boxes[number] = (*corner, *size)
    visible = np.bincount(owner.ravel(), minlength=len(people) + 1)  # pixels of each person
    visible_people = [
        (number, box, float(visible[number + 1] / areas[number]))
        for number, box in sorted(boxes.items())
        if box[2] > 6
    ]
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), visible_people


def simulate_detections(people: list, rng: np.random.Generator) -> list[tuple]:
    """Simulate a detector: return (left, top, width, height, score) rows of a frame.

    `people` are as `draw_frame` returns them. Occluded people are missed more often and score
    lower; one box in twenty is a false positive.
    """
    rows = []
    for _, (left, top, width, height), visible in people:
        if rng.random() > 0.97 * min(1.0, visible * 1.6):
            continue
        shift = rng.normal(0, 0.015, 4) * (width, height, width, height)
        score = np.clip(0.62 + 0.35 * visible + rng.normal(0, 0.06), 0.05, 0.99)
        rows.append((*(np.array([left, top, width, height]) + shift), score))
        if rng.random() < 0.05:
            tall = rng.uniform(60, 200)
            corner = rng.uniform(0, WIDTH - tall), rng.uniform(HORIZON, HEIGHT - tall)
            rows.append((*corner, tall * 0.4, tall, rng.uniform(0.1, 0.7)))
    return rows


def main(folder: Path, frames: int = FRAMES) -> None:
    """Write the first `frames` frames of the sequence to `folder`."""
    rng = np.random.default_rng(7)
    people, empty = make_people(rng), draw_street(rng)
    for name in ("gt", "det"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ground_truth, detections = [], []
    with av.open(str(folder / "scene.mp4"), "w") as container:
        # The output of x264 depends on the number of threads, by default that of the cores, and in
        # the macroblock tree on where its buffers are in memory.
        options = {"crf": "18", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for frame in range(frames):
            image, visible_people = draw_frame(empty, people, frame)
            video_frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            container.mux(stream.encode(video_frame))
            for number, box, visible in visible_people:
                sides = ",".join(f"{side:.1f}" for side in box)
                ground_truth.append(f"{frame + 1},{number + 1},{sides},1,1,{visible:.3f}\n")
            for *box, score in simulate_detections(visible_people, rng):
                sides = ",".join(f"{side:.1f}" for side in box)
                detections.append(f"{frame + 1},-1,{sides},{score:.3f},-1,-1,-1\n")
        container.mux(stream.encode(None))
    (folder / "gt/gt.txt").write_text("".join(ground_truth))
    (folder / "det/det.txt").write_text("".join(detections))
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={folder.name}\nimDir=scene.mp4\nframeRate={RATE}\n"
        f"seqLength={frames}\nimWidth={WIDTH}\nimHeight={HEIGHT}\nimExt=.mp4\n"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
