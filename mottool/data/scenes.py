"""Training scenes: images of a dataset, combined differently in every epoch.

Like a sample of `samples.Samples`, a scene depends only on the seed, the epoch and the image's
number.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset as MapDataset

from mottool.data.composition import Canvas, Region, Tile, resize
from mottool.data.dataset import AnnotatedImage, Dataset
from mottool.data.photometry import vary
from mottool.data.samples import Sample, SampleIndex
from mottool.data.targets.labels import Labels
from mottool.errors import InputError
from mottool.models.preprocessing import TrainingPreprocessor
from mottool.networks.learning import Composition, PairSampling

__all__ = ["Scenes"]

Ints = npt.NDArray[np.int64]
Draw = np.random.Generator

# The fraction of a box that must be visible, in a single image and in a tile of a mosaic.
SINGLE_MIN_SHARE, TILE_MIN_SHARE = 0.35, 0.55
EXACT_FIT_PROBABILITY = 0.2  # that a single image fits the scene exactly
AIM_PROBABILITY = 0.7  # that a tile is placed to show one of its people
BESIDE_PROBABILITY = 0.6  # that a cut-out is pasted beside another person
MAX_DRIFT = 0.02  # of the second scene of a pair, as a fraction of its size


class Scenes(MapDataset[Sample]):
    """Scenes by epoch and number; crops of single people are only pasted into other images."""

    def __init__(
        self,
        dataset: Dataset,
        view: TrainingPreprocessor,
        composition: Composition,
        pairs: PairSampling | None = None,
        seed: int = 0,
        embeddings: Callable[[Ints], npt.NDArray[np.float32]] | None = None,
    ) -> None:
        """With `pairs`, every scene has a second one; `embeddings` is as in `Samples`.

        The second scene shows the same images, or frames near them, at the same positions. Raises
        `InputError` for a dataset that contains crops only.
        """
        self.dataset, self.view, self.seed = dataset, view, seed
        self.composition, self.pairs, self.embeddings = composition, pairs, embeddings
        is_crop = dataset.is_crop()
        self.scenes, self.crops = np.flatnonzero(~is_crop), np.flatnonzero(is_crop)
        if not len(self.scenes):
            problem = f"{dataset.name} contains crops of single people only"
            raise InputError(problem, "add a dataset of whole images to paste them into")
        self.masked = np.flatnonzero(dataset.instances)  # rows of boxes

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: SampleIndex) -> Sample:
        epoch, number = index
        draw = np.random.default_rng([self.seed, epoch, number])
        tiles = self._tiles(int(self.scenes[number]), draw)
        sample = self._sample(self._compose(tiles, draw, pasted=True), draw)
        if self.pairs is None:
            return sample
        moved = [(self._nearby(image, self.pairs, draw), _drift(t, draw)) for image, t in tiles]
        partner = self._sample(self._compose(moved, draw, pasted=False), draw)
        return replace(sample, partner=partner)

    def path(self, number: int) -> str:
        """Return the path of the first image of scene `number`."""
        return self.dataset.paths[int(self.scenes[number])]

    def _tiles(self, first: int, draw: Draw) -> list[tuple[int, Tile]]:
        """Choose the images of a scene, including `first`, and their placement."""
        width, height = self.view.width, self.view.height
        if draw.random() >= self.composition.mosaic:
            return [(first, self._tile(first, (0, 0, width, height), draw, single=True))]
        x, y = (int(side * draw.uniform(0.3, 0.7)) for side in (width, height))
        regions = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
        images = [first, *(int(number) for number in draw.choice(self.scenes, 3))]
        order = draw.permutation(4)
        return [
            (images[i], self._tile(images[i], region, draw, single=False))
            for i, region in zip(order, regions, strict=True)
        ]

    def _tile(self, number: int, region: Region, draw: Draw, single: bool) -> Tile:
        """Draw the placement of an image in a region: its scale, flip and position."""
        image, limits = self.dataset[number], self.composition
        low, high = (
            (limits.shrink, limits.grow) if single else (limits.tile_shrink, limits.tile_grow)
        )
        fit = min(self.view.width / image.width, self.view.height / image.height)
        scale = fit * math.exp(draw.uniform(math.log(low), math.log(high)))
        if single and draw.random() < EXACT_FIT_PROBABILITY:
            scale = fit
        sx, sy = scale * draw.uniform(0.92, 1.08), scale * draw.uniform(0.95, 1.05)
        flipped = bool(draw.random() < 0.5)
        across = image.width * sx, region[0], region[2] - region[0]
        down = image.height * sy, region[1], region[3] - region[1]
        if len(image.boxes) and draw.random() < AIM_PROBABILITY:
            box = image.boxes[draw.integers(len(image.boxes))]
            centre = (box[:2] + box[2:]) / 2
            middle = image.width - centre[0] if flipped else centre[0]
            x = _aim(*across, middle * sx, draw.uniform(0.1, 0.9))
            y = _aim(*down, centre[1] * sy, draw.uniform(0.2, 0.8))
        else:
            x, y = (low + (room - side) * draw.random() for side, low, room in (across, down))
        return Tile(region, (sx, sy), (x, y), flipped)

    def _compose(self, tiles: list[tuple[int, Tile]], draw: Draw, pasted: bool) -> Canvas:
        """Compose a scene; with `pasted`, sometimes paste cut-out people into it."""
        canvas = Canvas.empty(self.view.width, self.view.height, self.view.border)
        min_share = SINGLE_MIN_SHARE if len(tiles) == 1 else TILE_MIN_SHARE
        for number, tile in tiles:
            canvas.add_image(self.dataset[number], tile, min_share)
        cutouts = len(self.crops) + len(self.masked)
        if pasted and cutouts and draw.random() < self.composition.paste:
            for _ in range(draw.integers(1, self.composition.most_pasted + 1)):
                self._paste(canvas, draw)
        return canvas

    def _paste(self, canvas: Canvas, draw: Draw) -> None:
        """Paste a person, cut out by a mask or a crop, about as tall as those in the scene."""
        # Each kind has probability one half, if there are both.
        crops = len(self.crops) and (not len(self.masked) or draw.random() < 0.5)
        if crops:
            image = self.dataset[int(draw.choice(self.crops))]
            box = 0
        else:
            image, box = self._find_row(int(draw.choice(self.masked)))
        width, height = canvas.size
        heights = canvas.boxes[:, 3] - canvas.boxes[:, 1] if len(canvas.boxes) else [height / 3]
        tall = float(np.clip(draw.choice(heights) * draw.uniform(0.8, 1.4), 24, 1.1 * height))
        cutout, opacity = _cut_out(image, box, tall, bool(draw.random() < 0.5))
        wide = cutout.shape[1]
        if len(canvas.boxes) and draw.random() < BESIDE_PROBABILITY:
            left, _, right, bottom = canvas.boxes[draw.integers(len(canvas.boxes))]
            x = (left + right) / 2 + draw.uniform(-1.2, 1.2) * (right - left)
            y = bottom + draw.uniform(-0.05, 0.15) * tall
        else:
            x, y = draw.uniform(0, width), draw.uniform(0.5, 1.05) * height
        corner = float(x) - wide / 2, float(y) - tall
        row, identity = int(image.rows[box]), int(image.identities[box])
        canvas.paste(cutout, opacity, corner, row, identity, SINGLE_MIN_SHARE)

    def _find_row(self, row: int) -> tuple[AnnotatedImage, int]:
        """Return the image of a box of the dataset, and the box's index in it."""
        image = self.dataset[int(np.searchsorted(self.dataset.ends, row, side="right"))]
        return image, int(row - image.rows[0])

    def _nearby(self, number: int, pairs: PairSampling, draw: Draw) -> int:
        """Choose a frame near an image in its video, or the image itself if it is still."""
        near = self.dataset.near(number, pairs.reach)
        return int(draw.choice(near)) if len(near) else number

    def _sample(self, canvas: Canvas, draw: Draw) -> Sample:
        """Return the sample of a scene, with photometric augmentation."""
        pixels = vary(canvas.pixels, self.composition, draw)
        embeddings = self.embeddings(canvas.rows) if self.embeddings else None
        return Sample(
            image=torch.from_numpy(self.view.image(pixels)),
            labels=Labels(
                boxes=torch.from_numpy(canvas.boxes),
                identities=torch.from_numpy(canvas.identities),
                embeddings=None if embeddings is None else torch.from_numpy(embeddings),
                visible=torch.from_numpy(canvas.visible),
                ignored=torch.from_numpy(canvas.ignored),
            ),
            rows=torch.from_numpy(canvas.rows),
        )


def _aim(side: float, low: float, room: float, centre: float, fraction: float) -> float:
    """Return the start of an image of length `side` that puts its `centre` into a region.

    The region starts at `low` and has the length `room`; the centre goes to this `fraction` of it.
    An image that is longer than the region covers all of it.
    """
    start = low + fraction * room - centre
    return min(low, max(low + room - side, start)) if side >= room else start


def _drift(tile: Tile, draw: Draw) -> Tile:
    """Move a tile a little, like a hand-held camera between two frames."""
    left, top, right, bottom = tile.region
    dx, dy = MAX_DRIFT * draw.uniform(-1, 1, 2) * (right - left, bottom - top)
    return replace(tile, corner=(tile.corner[0] + dx, tile.corner[1] + dy))


def _cut_out(
    image: AnnotatedImage, box: int, height: float, flipped: bool
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return the pixels of a person (h, w, 3), `height` pixels tall, and their opacity (h, w).

    With a mask, only the pixels of the person's instance are opaque; without one, all of the box.
    """
    x1, y1, x2, y2 = image.boxes[box].clip(0, [image.width, image.height] * 2).round().astype(int)
    pixels = image.pixels()[y1:y2, x1:x2]
    opacity = np.ones(pixels.shape[:2], np.float32)
    if image.mask is not None:
        opacity[image.mask_pixels()[y1:y2, x1:x2] != image.instances[box]] = 0
    if flipped:
        pixels, opacity = pixels[:, ::-1], opacity[:, ::-1]
    size = max(round(pixels.shape[1] * height / pixels.shape[0]), 1), max(round(height), 1)
    return resize(pixels, size), resize(opacity, size)
