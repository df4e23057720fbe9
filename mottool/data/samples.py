"""Samples: one image, or a pair of them, as a network trains on it.

What a sample looks like depends on nothing but the seed, the epoch and the image's number: not on
how many workers there are, nor on what they made before. So a run that was stopped can go on as
if it had not been.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset as MapDataset

from mottool.data.augmentation import Augmentation, Look, augment, jitter
from mottool.data.dataset import Annotated, Dataset
from mottool.data.pairs import Pairs
from mottool.data.targets import Labels
from mottool.models.preprocessing import Letterbox

__all__ = ["Place", "Sample", "Samples"]

Ints = npt.NDArray[np.int64]
Place = tuple[int, int]  # the epoch, and the image's number


@dataclass(frozen=True)
class Sample:
    """One training image and its n people.

    `image` (3, H, W) float32, the network's input; `labels` as it takes them; `visibility` (n,)
    float32 in [0, 1]; `rows` (n,) int64, the boxes' places in the dataset. `partner` is the second
    image of a pair, and `negative` says whether it shows other people.
    """

    image: Tensor
    labels: Labels
    visibility: Tensor
    rows: Tensor
    partner: "Sample | None" = None
    negative: bool = False


class Samples(MapDataset[Sample]):
    """The images of a dataset by epoch and number, augmented and fitted to a network's input."""

    def __init__(
        self,
        dataset: Dataset,
        view: Letterbox,
        augmentation: Augmentation | None = None,
        pairs: Pairs | None = None,
        seed: int = 0,
        embeddings: Callable[[Ints], npt.NDArray[np.float32]] | None = None,
    ) -> None:
        """Without `augmentation` images are only fitted, as for validation.

        `embeddings` gives a teacher's embeddings (n, D) of the boxes at rows (n,) of the dataset.
        It is called in the workers, so it must be picklable and open its file there.
        """
        self.dataset, self.view, self.seed = dataset, view, seed
        self.augmentation, self.pairs, self.embeddings = augmentation, pairs, embeddings

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, place: Place) -> Sample:
        epoch, number = place
        draw = np.random.default_rng([self.seed, epoch, number])
        limits = self.augmentation
        look = limits.look(draw) if limits else Look()
        if self.pairs is None:
            return self._seen(self.dataset[number], look)
        other, negative = self._partner(number, self.pairs, draw)
        if limits:
            second = limits.look(draw) if negative else limits.look_near(look, draw)
        else:
            second = look
        partner = self._seen(self.dataset[other], second)
        return self._seen(self.dataset[number], look, partner, negative)

    def _partner(self, number: int, pairs: Pairs, draw: np.random.Generator) -> tuple[int, bool]:
        """The number of the second image, and whether it shows other people."""
        if draw.random() < pairs.negative:
            others = self.dataset.elsewhere(number)
            if len(others):
                return int(draw.choice(others)), True
        near = self.dataset.near(number, pairs.reach)
        return (int(draw.choice(near)) if len(near) else number), False

    def _seen(
        self, image: Annotated, look: Look, partner: Sample | None = None, negative: bool = False
    ) -> Sample:
        """An image as the network sees it with a look."""
        fitted = self.view.fitted(jitter(image.pixels(), look.gains))
        boxes = self.view.from_frame(image.boxes, image.width, image.height)
        clip = self.augmentation is not None and self.augmentation.clip
        pixels, boxes, keep = augment(fitted, boxes, look, clip)
        rows = image.rows[keep]
        taught = None if self.embeddings is None else torch.from_numpy(self.embeddings(rows))
        return Sample(
            image=torch.from_numpy(self.view.image(pixels)),
            labels=Labels(
                boxes=torch.from_numpy(boxes[keep].astype(np.float32)),
                identities=torch.from_numpy(image.identities[keep]),
                embeddings=taught,
            ),
            visibility=torch.from_numpy(image.visibility[keep]),
            rows=torch.from_numpy(rows),
            partner=partner,
            negative=negative,
        )
