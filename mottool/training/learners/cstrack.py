"""How CSTrack learns: its paper's experiments, "Implementation details", on YOLOv5's training.

Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID in
multiobject tracking", IEEE Transactions on Image Processing 31, 2022: SGD for 30 epochs from a
learning rate of 5e-4, a tenth at the 20th, 8 images a step. Momentum, decay of weights, average of
weights and where the heads begin are YOLOv5's (Ultralytics, 2020), whose weights for COCO the
authors start from. As there, the loss is not the mean but the sum over a step's images: SGD's
learning rate is meant for that. It is 8 times the mean here, however many images a step has. Their
code also takes eight such steps as one, and lets the first thousand or more rise linearly; here
every one is taken, and `--warmup` sets such a rise.
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
from mottool.models.cstrack import ANCHORS, PIPELINES, SIZES, STRIDES, CSTrack, map_tensor_name
from mottool.training.learner import Learner, Recipe
from mottool.training.settings import CSTrackLearning

__all__ = ["CSTrackLearner"]

PEOPLE = 8  # in an image of 640x640 pixels: how often objectness begins with finding somebody
SURE = math.log(0.6 / (1 - 0.99))  # YOLOv5's first logit of one class out of one: 4.09, 98.4 %
SHARES = {"self": 1.0, "cross": 0.0}  # of self-relation, where there is one relation only


class CSTrackLearner(Learner):
    """CSTrack with a classifier over the dataset's identities."""

    RECIPE = Recipe(epochs=30, batch=8, lr=5e-4, drops=(2 / 3,), tracker="cstrack", ema=0.9999)

    network: CSTrack

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: CSTrackLearning
    ) -> None:
        """Raises `InputError` for a dataset without identities."""
        super().__init__()
        anchors = dict(zip(STRIDES, ANCHORS, strict=True))
        self.network = CSTrack(
            *SIZES[PIPELINES[pipeline]],
            related=settings.relation != "none",
            spatial=settings.attention in {"both", "spatial"},
            channelwise=settings.attention in {"both", "channel"},
        )
        self.network.reach.requires_grad_(False)  # nothing teaches it
        self.share = SHARES.get(settings.relation)
        _begin(self.network)
        self.loss = CSTrackLoss(
            self.network.attention.embed.out_channels,
            dataset.identities_for("CSTrack's loss"),
            anchors,
            settings.eta,
        )
        self.examples = partial(_examples, size=size, anchors=anchors)

    def forward(self, images: Tensor, targets: CSTrackTargets) -> dict[str, Tensor]:
        """The whole loss, as high as that of the authors' step of 8 images, and its terms."""
        terms: dict[str, Tensor] = self.loss(self.network(images), targets)
        return terms | {"total": self.RECIPE.batch * terms["total"]}

    def optimiser(self, lr: float) -> Optimizer:
        """SGD with Nesterov's momentum; only the weights of convolutions and products decay."""
        if self.share is not None:  # only now, as what training starts from may hold other shares
            _fix(self.network, self.share)
        parameters = [each for each in self.parameters() if each.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [each for each in parameters if each.dim() > 1], "weight_decay": 5e-4},
            {"params": [each for each in parameters if each.dim() <= 1]},
        ]
        return SGD(groups, lr, momentum=0.937, nesterov=True)

    def our_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of YOLOv5 or CSTrack under the network's names."""
        return {map_tensor_name(name): value for name, value in tensors.items()}


def _examples(
    batch: Batch, size: tuple[int, int], anchors: Mapping[int, Sequence[tuple[int, int]]]
) -> LossInputs:
    """The anchors that are to find somebody, and the cells of people's centres."""
    return LossInputs(batch.images, cstrack_targets(batch.labels, size, anchors))


def _fix(network: CSTrack, share: float) -> None:
    """Let `share` be that of self-relation from now on, on all levels and for both tasks."""
    for relation in network.relations:
        for name in ("detection_share", "identity_share"):
            relation.get_parameter(name).requires_grad_(False).fill_(share)


@torch.no_grad()
def _begin(network: CSTrack) -> None:
    """Let the heads begin with few objects, all of them people.

    YOLOv5 adds its first logits to a random bias, and leaves the weights random. With a single
    class it has no loss of classes, so that nothing ever teaches the logit of "a person" and what
    is random in it would stay in every score: here it is `SURE` whatever the features say.
    """
    for stride, head in zip(STRIDES, network.detection, strict=True):
        weight, bias = head.get_parameter("weight"), head.get_parameter("bias")
        outputs = bias.view(3, 6)  # box, objectness, person of each anchor
        outputs[:, 4] += math.log(PEOPLE / (640 / stride) ** 2)
        outputs[:, 5] = SURE
        weight.view(3, 6, -1)[:, 5] = 0
