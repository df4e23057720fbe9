"""Training of OUTrack: embeddings from pairs of frames without identities, and occlusions.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022: like FairMOT, with 8
images per step in the authors' scripts, each paired with a second one.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import Dataset
from mottool.data.targets.centre import centre_targets, occlusion_targets
from mottool.errors import InputError, SettingError
from mottool.losses.outrack import OUTrackLoss, OUTrackTargets
from mottool.losses.unsupervised import Assignment
from mottool.models.backbones.dla import DLA34
from mottool.models.fairmot import map_tensor_name
from mottool.models.outrack import OUTrack
from mottool.networks.learning import NEGATIVE, AssignmentSettings, PairSampling
from mottool.networks.outrack import OUTrackLearning
from mottool.training.learner import Learner

__all__ = ["OUTrackLearner"]


class OUTrackLearner(Learner):
    """OUTrack on DLA-34; identities of the dataset are not used."""

    network: OUTrack

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: OUTrackLearning
    ) -> None:
        """Create the learner; `dataset` can contain videos, still images, or both."""
        super().__init__()
        if settings.baseline and settings.negative not in (0, NEGATIVE):
            problem = "--negative has no effect with --baseline: CycAs has no negative pairs"
            raise SettingError(problem, "omit one of them")
        negative = 0.0 if settings.baseline else settings.negative
        self.pairs = PairSampling(settings.reach, negative)
        self.network = OUTrack(DLA34(), occlusion=settings.occlusion)
        assignment = {key.name: getattr(settings, key.name) for key in fields(AssignmentSettings)}
        self.loss = OUTrackLoss(
            Assignment(**assignment),
            settings.intra,
            settings.inter,
            settings.cycle,
            settings.baseline,
            settings.id_weight,
        )
        tau = settings.tau if settings.occlusion else None
        self.examples = partial(_examples, size=size, stride=self.network.stride, tau=tau)

    def forward(self, images: Tensor, targets: OUTrackTargets) -> dict[str, Tensor]:
        """Compute the loss and its terms."""
        both = {name: head.chunk(2) for name, head in self.network(images).items()}
        heads, previous = ({name: halves[i] for name, halves in both.items()} for i in (0, 1))
        terms: dict[str, Tensor] = self.loss(heads, targets, previous)
        return terms

    def optimiser(self, lr: float) -> Optimizer:
        """Create Adam."""
        return Adam(self.parameters(), lr)

    def map_tensor_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map tensor names of CenterNet or OUTrack to those of the network."""
        return {map_tensor_name(name, DLA34): value for name, value in tensors.items()}


def _examples(batch: Batch, size: tuple[int, int], stride: int, tau: float | None) -> LossInputs:
    """Create targets: people and occlusions of the images, then people of their partners."""
    partner, negative = batch.partner, batch.negative
    if partner is None or negative is None:
        raise InputError("a batch has no second images", "load samples with the learner's pairs")
    images = torch.cat((batch.images, partner.images))  # (2B, 3, H, W)
    targets = OUTrackTargets(
        centre_targets(batch.labels, size, stride),
        None if tau is None else occlusion_targets(batch.labels, size, stride, tau),
        centre_targets(partner.labels, size, stride),
        negative,
    )
    return LossInputs(images, targets)
