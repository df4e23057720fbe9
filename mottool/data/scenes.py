"""Training scenes: the images of a dataset, composed anew every time they are seen.

Like `samples.Samples`, a scene depends on nothing but the seed, the epoch and the image's number.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset as MapDataset

from mottool.data.composition import Canvas, Region, Tile, scaled
from mottool.data.dataset import AnnotatedImage, Dataset
from mottool.data.photometry import vary
from mottool.data.samples import Place, Sample
from mottool.data.targets.labels import Labels
from mottool.errors import InputError
from mottool.models.preprocessing import TrainingPreprocessor
from mottool.networks.learning import Composition, PairSampling

__all__ = ["Scenes"]

Ints = npt.NDArray[np.int64]
Draw = np.random.Generator

WHOLE_SHARE, TILE_SHARE = 0.35, 0.55  # of a box that has to be seen in an image, in a mosaic's tile
EXACT = 0.2  # how often a single image fills the scene exactly
AIMED = 0.7  # how often a tile is placed so that it shows one of its people
BESIDE = 0.6  # how often a cut-out is put beside somebody
DRIFT = 0.02  # how far the second scene of a pair is moved, in parts of its size


class Scenes(MapDataset[Sample]):
    """Scenes by epoch and number; images that one box fills are only pasted into others."""

    def __init__(
        self,
        dataset: Dataset,
        view: TrainingPreprocessor,
        composition: Composition,
        pairs: PairSampling | None = None,
        seed: int = 0,
        embeddings: Callable[[Ints], npt.NDArray[np.float32]] | None = None,
    ) -> None:
        """`embeddings` as in `Samples`. With `pairs` every scene comes with a second one.

        The second scene shows the same images, or frames near them, in the same places. Raises
        `InputError` for a dataset of nothing but crops.
        """
        self.dataset, self.view, self.seed = dataset, view, seed
        self.composition, self.pairs, self.embeddings = composition, pairs, embeddings
        filled = dataset.filled()
        self.scenes, self.crops = np.flatnonzero(~filled), np.flatnonzero(filled)
        if not len(self.scenes):
            problem = f"{dataset.name} holds crops of single people only"
            raise InputError(problem, "add a dataset of whole images to paste them into")
        self.masked = np.flatnonzero(dataset.instances)  # rows of boxes

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, place: Place) -> Sample:
        epoch, number = place
        draw = np.random.default_rng([self.seed, epoch, number])
        tiles = self._tiles(int(self.scenes[number]), draw)
        sample = self._sample(self._composed(tiles, draw, pasted=True), draw)
        if self.pairs is None:
            return sample
        moved = [(self._near(image, self.pairs, draw), _moved(t, draw)) for image, t in tiles]
        partner = self._sample(self._composed(moved, draw, pasted=False), draw)
        return replace(sample, partner=partner)

    def path(self, number: int) -> str:
        """Return the path of the first image of scene `number`."""
        return self.dataset.paths[int(self.scenes[number])]

    def _tiles(self, first: int, draw: Draw) -> list[tuple[int, Tile]]:
        """Choose the images of a scene, `first` among them, and how each of them lies in it."""
        width, height = self.view.width, self.view.height
        if draw.random() >= self.composition.mosaic:
            return [(first, self._tile(first, (0, 0, width, height), draw, whole=True))]
        x, y = (int(side * draw.uniform(0.3, 0.7)) for side in (width, height))
        regions = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
        images = [first, *(int(each) for each in draw.choice(self.scenes, 3))]
        order = draw.permutation(4)
        return [
            (images[place], self._tile(images[place], region, draw, whole=False))
            for place, region in zip(order, regions, strict=True)
        ]

    def _tile(self, number: int, region: Region, draw: Draw, whole: bool) -> Tile:
        """Draw how an image lies in a region: its scale, a flip, and where it is cut off."""
        image, limits = self.dataset[number], self.composition
        low, high = (
            (limits.shrink, limits.grow) if whole else (limits.tile_shrink, limits.tile_grow)
        )
        fit = min(self.view.width / image.width, self.view.height / image.height)
        scale = fit * math.exp(draw.uniform(math.log(low), math.log(high)))
        if whole and draw.random() < EXACT:
            scale = fit
        sx, sy = scale * draw.uniform(0.92, 1.08), scale * draw.uniform(0.95, 1.05)
        flipped = bool(draw.random() < 0.5)
        across = image.width * sx, region[0], region[2] - region[0]
        down = image.height * sy, region[1], region[3] - region[1]
        if len(image.boxes) and draw.random() < AIMED:
            box = image.boxes[draw.integers(len(image.boxes))]
            centre = (box[:2] + box[2:]) / 2
            middle = image.width - centre[0] if flipped else centre[0]
            x = _aimed(*across, middle * sx, draw.uniform(0.1, 0.9))
            y = _aimed(*down, centre[1] * sy, draw.uniform(0.2, 0.8))
        else:
            x, y = (first + (room - side) * draw.random() for side, first, room in (across, down))
        return Tile(region, (sx, sy), (x, y), flipped)

    def _composed(self, tiles: list[tuple[int, Tile]], draw: Draw, pasted: bool) -> Canvas:
        """Compose a scene, with cut-out people in it if `pasted` and if chance wants it."""
        canvas = Canvas.empty(self.view.width, self.view.height, self.view.border)
        share = WHOLE_SHARE if len(tiles) == 1 else TILE_SHARE
        for number, tile in tiles:
            canvas.lay(self.dataset[number], tile, share)
        cutouts = len(self.crops) + len(self.masked)
        if pasted and cutouts and draw.random() < self.composition.paste:
            for _ in range(draw.integers(1, self.composition.most_pasted + 1)):
                self._paste(canvas, draw)
        return canvas

    def _paste(self, canvas: Canvas, draw: Draw) -> None:
        """Paste a person that a mask cuts out, or a crop, about as tall as those in the scene."""
        # Half of them are of each kind, where there are both.
        crops = len(self.crops) and (not len(self.masked) or draw.random() < 0.5)
        if crops:
            image = self.dataset[int(draw.choice(self.crops))]
            place = 0
        else:
            image, place = self._of_row(int(draw.choice(self.masked)))
        width, height = canvas.size
        heights = canvas.boxes[:, 3] - canvas.boxes[:, 1] if len(canvas.boxes) else [height / 3]
        tall = float(np.clip(draw.choice(heights) * draw.uniform(0.8, 1.4), 24, 1.1 * height))
        cutout, opacity = _cut_out(image, place, tall, bool(draw.random() < 0.5))
        wide = cutout.shape[1]
        if len(canvas.boxes) and draw.random() < BESIDE:
            left, _, right, bottom = canvas.boxes[draw.integers(len(canvas.boxes))]
            x = (left + right) / 2 + draw.uniform(-1.2, 1.2) * (right - left)
            y = bottom + draw.uniform(-0.05, 0.15) * tall
        else:
            x, y = draw.uniform(0, width), draw.uniform(0.5, 1.05) * height
        corner = float(x) - wide / 2, float(y) - tall
        row, identity = int(image.rows[place]), int(image.identities[place])
        canvas.paste(cutout, opacity, corner, row, identity, WHOLE_SHARE)

    def _of_row(self, row: int) -> tuple[AnnotatedImage, int]:
        """Return the image of a box of the dataset, and the box's place in it."""
        image = self.dataset[int(np.searchsorted(self.dataset.ends, row, side="right"))]
        return image, int(row - image.rows[0])

    def _near(self, number: int, pairs: PairSampling, draw: Draw) -> int:
        """Choose a frame near an image in its video, or the image itself if it is still."""
        near = self.dataset.near(number, pairs.reach)
        return int(draw.choice(near)) if len(near) else number

    def _sample(self, canvas: Canvas, draw: Draw) -> Sample:
        """Make a sample of a scene, as a camera by chance would have seen it."""
        pixels = vary(canvas.pixels, self.composition, draw)
        taught = self.embeddings(canvas.rows) if self.embeddings else None
        return Sample(
            image=torch.from_numpy(self.view.image(pixels)),
            labels=Labels(
                boxes=torch.from_numpy(canvas.boxes),
                identities=torch.from_numpy(canvas.identities),
                embeddings=None if taught is None else torch.from_numpy(taught),
                visible=torch.from_numpy(canvas.visible),
                ignored=torch.from_numpy(canvas.ignored),
            ),
            rows=torch.from_numpy(canvas.rows),
        )


def _aimed(side: float, first: float, room: float, centre: float, part: float) -> float:
    """Return where an image of length `side` begins so that its `centre` falls into a region.

    The region begins at `first` and has the length `room`, of which the centre is at `part`. An
    image that is longer than the region covers all of it.
    """
    start = first + part * room - centre
    return min(first, max(first + room - side, start)) if side >= room else start


def _moved(tile: Tile, draw: Draw) -> Tile:
    """Return a tile as a hand-held camera would see it a moment later."""
    left, top, right, bottom = tile.region
    dx, dy = DRIFT * draw.uniform(-1, 1, 2) * (right - left, bottom - top)
    return replace(tile, corner=(tile.corner[0] + dx, tile.corner[1] + dy))


def _cut_out(
    image: AnnotatedImage, place: int, height: float, flipped: bool
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return the pixels of a person (h, w, 3) at about `height` pixels, and their opacity (h, w).

    Pixels of the box that the image's mask gives to others are transparent. Without a mask all of
    the box is opaque.
    """
    x1, y1, x2, y2 = image.boxes[place].clip(0, [image.width, image.height] * 2).round().astype(int)
    pixels = image.pixels()[y1:y2, x1:x2]
    opacity = np.ones(pixels.shape[:2], np.float32)
    if image.mask is not None:
        opacity[image.mask_pixels()[y1:y2, x1:x2] != image.instances[place]] = 0
    if flipped:
        pixels, opacity = pixels[:, ::-1], opacity[:, ::-1]
    size = max(round(pixels.shape[1] * height / pixels.shape[0]), 1), max(round(height), 1)
    return scaled(pixels, size), scaled(opacity, size)
