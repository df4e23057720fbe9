"""A synthetic crowd in patterned clothes, with another light in every frame.

All clothes have patterns of the same few colours. Light, background and the size of people change
from frame to frame, and people walk past each other. So the appearance of a person depends more on
the frame than on the person, and an embedding that identifies people has to be learned.
"""

import csv
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from click.testing import CliRunner

from mottool.cli.main import cli

__all__ = ["crowd", "searched"]

Image = npt.NDArray[np.float32]

TALL, WIDE = 48, 24  # pixels of a drawn person before resizing
DYES = np.array(
    [(60, 60, 200), (60, 170, 60), (200, 90, 50), (60, 190, 210), (190, 70, 180), (215, 215, 215)]
)  # BGR
SKIN = (120, 150, 190)


def crowd(
    folder: Path,
    frames: int = 24,
    people: int = 10,
    size: tuple[int, int] = (192, 128),
    seed: int = 0,
    wardrobe: int = 0,
    light: float = 1.0,
    named: bool = True,
) -> Path:
    """Write a MOTChallenge folder of PNG images with MOT17's columns.

    `seed` selects the positions, `wardrobe` the people. `light` is the strength of the changes
    between frames; with 0 only the positions change. Without `named`, the identities of every frame
    are permuted at random, so that nothing can be learned from them, and the true ones are written
    to `<folder>.txt`.
    """
    draw = np.random.default_rng([seed, 1])
    width, height = size
    (folder / "img1").mkdir(parents=True)
    (folder / "gt").mkdir()
    looks = [_look(np.random.default_rng([wardrobe, person])) for person in range(people)]
    start, pace = draw.uniform(0, 2, (people, 2)), draw.uniform(0.02, 0.06, (people, 2))
    pace *= draw.choice((-1, 1), pace.shape)
    rows, true = [], []
    for frame in range(1, frames + 1):
        image = _ground(draw, width, height, light)
        zoom = 1 + 0.15 * light * draw.uniform(-1, 1)
        names = np.arange(people) if named else draw.permutation(people)
        place = np.abs(1 - (start + pace * frame) % 2)  # (people, 2) in [0, 1], back and forth
        for person in np.argsort(place[:, 1]):  # lower people are nearer and hide others
            across, down = place[person]
            h = round(zoom * (0.32 + 0.1 * down) * height)
            w = round(h * WIDE / TALL)
            x, y = round(across * (width - w)), round(down * (height - h))
            image[y : y + h, x : x + w] = _worn(looks[person], w, h)
            rows.append((frame, names[person] + 1, x, y, w, h))
            true.append((frame, person + 1, x, y, w, h))
        cv2.imwrite(str(folder / "img1" / f"{frame:06d}.png"), _lit(draw, image, light))
    _write(rows, folder / "gt/gt.txt")
    if not named:
        _write(true, folder.with_suffix(".txt"))
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={folder.name}\nimDir=img1\nframeRate=10\nseqLength={frames}\n"
        f"imWidth={width}\nimHeight={height}\nimExt=.png\n"
    )
    return folder


def _write(rows: list[tuple[int, ...]], path: Path) -> None:
    path.write_text("".join(",".join(map(str, (*row, 1, 1, 1))) + "\n" for row in rows))


def _look(draw: np.random.Generator) -> Image:
    """Draw a person with random clothes, (TALL, WIDE, 3)."""
    row, column = np.mgrid[:TALL, :WIDE]
    first, second, third = DYES[draw.choice(len(DYES), 3, replace=False)]
    period = draw.choice((8, 16))
    along = {0: row, 1: column, 2: row + column, 3: row // (period // 2) * (period // 2) + column}
    band = along[int(draw.integers(4))] // (period // 2) % 2
    look = np.where(band[..., None], first, second)
    look[TALL * 11 // 20 :] = third
    look[: TALL // 6] = SKIN
    return look.astype(np.float32)


def _worn(look: Image, width: int, height: int) -> Image:
    return cv2.resize(look, (width, height), interpolation=cv2.INTER_AREA)


def _ground(draw: np.random.Generator, width: int, height: int, light: float) -> Image:
    """Draw a background of smooth random patches; its contrast grows with `light`."""
    patches = 110 + 90 * light * draw.uniform(-1, 1, (5, 7, 3))
    smooth = cv2.resize(patches.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return (smooth + draw.normal(0, 6, smooth.shape)).astype(np.float32)


def _lit(draw: np.random.Generator, image: Image, light: float) -> npt.NDArray[np.uint8]:
    """Apply a random light colour and strength, and camera noise."""
    gain = np.exp(0.5 * light * draw.uniform(-1, 1, 3) + 0.4 * light * draw.uniform(-1, 1))
    seen = image * gain + draw.normal(0, 4, image.shape)
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)


def searched(
    embedder: str,
    scene: Path,
    work: Path,
    weights: Path | None = None,
    size: str = "128x96",
    truth: Path | None = None,
) -> tuple[float, float]:
    """Return rank-1 and mAP of an embedder at ground-truth boxes, computed by the commands.

    `weights` and the input `size` are those of a network. `truth` replaces the scene's own
    ground truth.
    """
    of_network = ["--embedder-weights", weights, "--input", size] if weights else []
    work = work / embedder / (weights.parent.name if weights else "none")
    table = work / "scores.csv"
    for arguments in (
        ["detect-embed", scene, "--pipeline", f"gt+{embedder}", "--device", "cpu", *of_network],
        ["evaluate", "--caches", "--gt", truth or scene, "--csv", table],
    ):
        command = [*map(str, arguments), "--work", str(work)]
        result = CliRunner().invoke(cli, command, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    with table.open() as file:
        row = next(row for row in csv.DictReader(file) if row["seq"] == "COMBINED")
    return float(row["Rank1"]), float(row["mAP"])
