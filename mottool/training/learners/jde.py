"""Training of JDE: §3.5, §4.2 and the batches of §4.3 of its paper.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020: SGD for 30 epochs
with a learning rate of 0.01, divided by ten at the 15th and the 23rd. Batches of 32, momentum,
weight decay and warm-up are those of the authors' code. For the triplet loss and its upper bound, a
batch of B images consists of B/2 pairs of consecutive frames, so that positives exist.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import Dataset
from mottool.data.targets.jde import JDETargets, jde_targets
from mottool.losses.jde import JDELoss, TaskWeights
from mottool.models.jde import JDE, STRIDES
from mottool.networks.jde import JDELearning
from mottool.networks.learning import PairSampling
from mottool.networks.registry import NETWORKS
from mottool.training.learner import Learner

__all__ = ["JDELearner"]


class JDELearner(Learner):
    """JDE with its nine tasks, their weights, and a classifier over the dataset's identities."""

    network: JDE

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: JDELearning
    ) -> None:
        """Create the learner. Raises `InputError` for a dataset without identities."""
        super().__init__()
        self.network = JDE(**NETWORKS[pipeline].arguments)
        self.loss = JDELoss(
            self.network.embedding_size,
            dataset.identities_for("JDE's loss"),
            settings.objective,
            settings.weighting,
            TaskWeights(settings.detection_weight, settings.identity_weight),
            settings.triplet_margin,
            settings.upper_bound_scale,
        )
        if settings.pairs:
            self.pairs = PairSampling(settings.reach)
            self.images_per_sample = 2
        anchors = dict(zip(STRIDES, self.network.anchors, strict=True))
        self.examples = partial(_examples, size=size, anchors=anchors)

    def forward(self, images: Tensor, targets: JDETargets) -> dict[str, Tensor]:
        """Compute Eq. 5 and its nine terms."""
        maps = self.network.backbone(images)
        terms: dict[str, Tensor] = self.loss(self.network.read(maps), targets, maps)
        return terms

    def optimiser(self, lr: float) -> Optimizer:
        """Create SGD with momentum."""
        return SGD(self.parameters(), lr, momentum=0.9, weight_decay=1e-4)


def _examples(
    batch: Batch, size: tuple[int, int], anchors: Mapping[int, Sequence[tuple[float, float]]]
) -> LossInputs:
    """Create foreground, boxes and identities of the anchors of each level.

    The second images of pairs follow the first ones; all are used alike.
    """
    images, labels = batch.images, batch.labels
    if batch.partner is not None:
        images = torch.cat((images, batch.partner.images))  # (2B, 3, H, W)
        labels = labels + batch.partner.labels
    return LossInputs(images, jde_targets(labels, size, anchors))
