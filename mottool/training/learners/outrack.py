"""How OUTrack learns: identities from pairs of frames alone, and where people hide each other.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022: like FairMOT, with 8
images a step in the authors' scripts, each of them beside a second one.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import Dataset
from mottool.data.pairs import PairSampling
from mottool.data.targets.centre import centre_targets, occlusion_targets
from mottool.errors import InputError
from mottool.losses.outrack import OUTrackLoss, OUTrackTargets
from mottool.losses.settings import AssignmentSettings
from mottool.losses.unsupervised import Assignment
from mottool.models.backbones.dla import DLA34
from mottool.models.fairmot import map_tensor_name
from mottool.models.outrack import OUTrack
from mottool.training.learner import Learner, Recipe
from mottool.training.settings import OUTrackLearning

__all__ = ["OUTrackLearner"]


class OUTrackLearner(Learner):
    """OUTrack on DLA-34; the dataset's identities are not looked at."""

    RECIPE = Recipe(epochs=30, batch=8, lr=1e-4, drops=(2 / 3,), tracker="outrack")

    network: OUTrack

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: OUTrackLearning
    ) -> None:
        """`dataset` may be of videos, of still images, or of both."""
        super().__init__()
        self.pairs = PairSampling(settings.reach, settings.negative)
        self.network = OUTrack(DLA34())
        assigned = {name.name: getattr(settings, name.name) for name in fields(AssignmentSettings)}
        self.loss = OUTrackLoss(
            Assignment(**assigned),
            settings.intra,
            settings.inter,
            settings.cycle,
            settings.baseline,
        )
        stride = self.network.stride
        self.examples = partial(_examples, size=size, stride=stride, tau=settings.tau)

    def forward(self, images: Tensor, targets: OUTrackTargets) -> dict[str, Tensor]:
        """The whole loss and its terms."""
        both = {name: head.chunk(2) for name, head in self.network(images).items()}
        heads, previous = ({name: halves[i] for name, halves in both.items()} for i in (0, 1))
        terms: dict[str, Tensor] = self.loss(heads, targets, previous)
        return terms

    def optimiser(self, lr: float) -> Optimizer:
        """Adam."""
        return Adam(self.parameters(), lr)

    def our_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of CenterNet or OUTrack under the network's names."""
        return {map_tensor_name(name, DLA34): value for name, value in tensors.items()}


def _examples(batch: Batch, size: tuple[int, int], stride: int, tau: float) -> LossInputs:
    """People and occlusions of the images, and people of their partners, which come after them."""
    partner, negative = batch.partner, batch.negative
    if partner is None or negative is None:
        raise InputError("a batch has no second images", "load samples with the learner's pairs")
    images = torch.cat((batch.images, partner.images))  # (2B, 3, H, W)
    targets = OUTrackTargets(
        centre_targets(batch.labels, size, stride),
        occlusion_targets(batch.labels, size, stride, tau),
        centre_targets(partner.labels, size, stride),
        negative,
    )
    return LossInputs(images, targets)
