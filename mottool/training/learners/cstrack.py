"""Training of CSTrack: "Implementation details" of its paper, on YOLOv5's training.

Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID in
multi-object tracking", IEEE Transactions on Image Processing 31, 2022, §IV-A: SGD for 30 epochs
with a learning rate of 5e-4, divided by ten at the 20th, with 8 images per step. What the paper
leaves out is that of the authors' code: Nesterov momentum 0.95, a weight decay of 5e-4 for weights
of convolutions and products but not for the classifier, an average of the weights, and the warm-up:
during three epochs, and at least 1,000 steps, the learning rate rises linearly from 0, and that of
biases falls from 0.1. Here it lasts at most half of the training.
The initial heads are those of YOLOv5 (Ultralytics, 2020), whose COCO weights the authors start
from. As in YOLOv5, the learning rate is meant for the sum of the loss over the images of a step,
not for the mean; here the loss is 8 times the mean for any number of images, and unscaled with the
paper's detection loss, which is no mean over cells. The authors' code also accumulates eight such
steps and lets the momentum rise from 0.9 during the warm-up; here every step is applied, with one
momentum.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import Dataset
from mottool.data.targets.cstrack import CSTrackTargets, cstrack_targets
from mottool.losses.cstrack import CSTrackLoss
from mottool.models.cstrack import (
    ANCHORS,
    PIPELINES,
    SIZES,
    STRIDES,
    CSTrack,
    Structure,
    map_tensor_name,
)
from mottool.networks.cstrack import ARRANGEMENTS, RECIPE, CSTrackLearning
from mottool.training.learner import Learner

__all__ = ["CSTrackLearner"]

PEOPLE = 8  # objects per image of 640x640 pixels that the initial objectness corresponds to
CLASS_LOGIT = math.log(0.6 / (1 - 0.99))  # YOLOv5's initial logit of a single class: 98.4 %
SHARES = {"self": 1.0, "cross": 0.0, "fixed": 0.5}  # of self-relation, if it is not learned
MOMENTUM, WEIGHT_DECAY = 0.95, 5e-4


class CSTrackLearner(Learner):
    """CSTrack with a classifier over the dataset's identities."""

    network: CSTrack

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: CSTrackLearning
    ) -> None:
        """Create the learner. Raises `InputError` for a dataset without identities."""
        super().__init__()
        anchors = dict(zip(STRIDES, ANCHORS, strict=True))
        self.network = CSTrack(*SIZES[PIPELINES[pipeline]], structure=structure(settings))
        self.network.reach.requires_grad_(False)  # no loss depends on it
        self.share = SHARES.get(settings.relation)
        _initialise_heads(self.network)
        self.loss = CSTrackLoss(
            self.network.embedding_size,
            dataset.identities_for("CSTrack's loss"),
            anchors,
            settings.eta,
            settings.detection_loss,
        )
        self.scale = RECIPE.batch if settings.detection_loss == "code" else 1
        self.examples = partial(
            _examples, size=size, anchors=anchors, neighbours=settings.detection_loss == "code"
        )

    def forward(self, images: Tensor, targets: CSTrackTargets) -> dict[str, Tensor]:
        """Compute the loss terms and their total, scaled to the authors' step of 8 images."""
        terms: dict[str, Tensor] = self.loss(self.network(images), targets)
        return terms | {"total": self.scale * terms["total"]}

    def optimiser(self, lr: float) -> Optimizer:
        """Create SGD with Nesterov momentum; only weights of convolutions and products decay."""
        # After initial weights are loaded, which may contain other shares.
        if self.share is not None:
            _fix(self.network, self.share)
        weights = list[Tensor]()
        biases = list[Tensor]()
        others = list[Tensor](self.loss.parameters())
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad and name.endswith(".bias"):
                biases.append(parameter)
            elif parameter.requires_grad:
                (weights if parameter.dim() > 1 else others).append(parameter)
        groups: list[dict[str, Any]] = [
            {"params": weights, "weight_decay": WEIGHT_DECAY},
            {"params": biases, "biases": True},
            {"params": others},
        ]
        return SGD(groups, lr, momentum=MOMENTUM, nesterov=True)

    def map_tensor_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map tensor names of YOLOv5 or CSTrack to those of the network."""
        return {map_tensor_name(name): value for name, value in tensors.items()}


def structure(settings: CSTrackLearning) -> Structure:
    """Return the structure of the network that the settings describe."""
    level, fused = ARRANGEMENTS[settings.attention]
    relation = {"none": "none", "cnn": "cnn"}.get(settings.relation, "ren")
    return Structure(settings.form, relation, settings.head, level, fused)


def _examples(
    batch: Batch,
    size: tuple[int, int],
    anchors: Mapping[int, Sequence[tuple[int, int]]],
    neighbours: bool,
) -> LossInputs:
    """Create the targets of anchors and the cells of people's centres."""
    return LossInputs(batch.images, cstrack_targets(batch.labels, size, anchors, neighbours))


def _fix(network: CSTrack, share: float) -> None:
    """Fix the share of self-relation, on all levels and for both tasks."""
    for relation in network.relations:
        for name in ("detection_share", "identity_share"):
            relation.get_parameter(name).requires_grad_(False).fill_(share)


@torch.no_grad()
def _initialise_heads(network: CSTrack) -> None:
    """Initialise the heads so that they predict few objects, all of them people.

    YOLOv5 adds its first logits to a random bias, and leaves the weights random. With a single
    class it has no loss of classes, so that nothing ever teaches the logit of "a person" and what
    is random in it would stay in every score: here it is `CLASS_LOGIT` whatever the features say.
    """
    for stride, head in zip(STRIDES, network.detection, strict=True):
        weight, bias = head.get_parameter("weight"), head.get_parameter("bias")
        outputs = bias.view(3, 6)  # box, objectness, person of each anchor
        outputs[:, 4] += math.log(PEOPLE / (640 / stride) ** 2)
        outputs[:, 5] = CLASS_LOGIT
        weight.view(3, 6, -1)[:, 5] = 0
