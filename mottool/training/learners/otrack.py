"""How OTrack learns: CenterTrack's recipe for MOT17, with OUTrack's occlusion centres.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §4.3-4.4 and §5.2, with the
values of its code: Adam for 70 epochs from a learning rate of 1.25e-4, a tenth after 60, 32 images
a step, at 960x544, each beside one at most two frames away. The authors start from their weights
of CrowdHuman, whose still images are each seen twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import Dataset
from mottool.data.pairs import PreviousFrameSampling
from mottool.data.targets.labels import Targets
from mottool.data.targets.otrack import OTrackTargets, otrack_targets
from mottool.errors import InputError
from mottool.losses.otrack import otrack_loss
from mottool.models.otrack import OTrack, map_tensor_name
from mottool.training.learner import Learner, Recipe
from mottool.training.settings import OTrackLearning

__all__ = ["OTrackInputs", "OTrackLearner"]


@dataclass(frozen=True)
class OTrackInputs(Targets):
    """What the network sees: B `images`, the `previous` ones, and what was found in those.

    `images` and `previous` (B, 3, H, W); `heatmap` (B, 1, H, W) as `OTrack.forward` takes it.
    """

    images: Tensor
    previous: Tensor
    heatmap: Tensor


class OTrackLearner(Learner):
    """OTrack; who is in both images is told by identities, or by the image being the same."""

    RECIPE = Recipe(epochs=70, batch=32, lr=1.25e-4, drops=(6 / 7,), tracker="otrack")

    network: OTrack

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: OTrackLearning
    ) -> None:
        """`dataset` may be of videos, of still images, or of both."""
        super().__init__()
        self.pairs = PreviousFrameSampling(
            **{each.name: getattr(settings, each.name) for each in fields(PreviousFrameSampling)}
        )
        self.network = OTrack(settings.occlusion)
        self.examples = partial(
            _examples,
            size=size,
            stride=self.network.stride,
            tau=settings.tau if settings.occlusion else None,
            identities=dataset.identity_count,
        )

    def forward(self, inputs: OTrackInputs, targets: OTrackTargets) -> dict[str, Tensor]:
        """The whole loss and its terms."""
        heads = self.network(inputs.images, inputs.previous, inputs.heatmap)
        return otrack_loss(heads, targets)

    def optimiser(self, lr: float) -> Optimizer:
        """Adam."""
        return Adam(self.parameters(), lr)

    def our_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of CenterTrack, CenterNet or FairMOT under the network's names."""
        return {map_tensor_name(name): value for name, value in tensors.items()}


def _examples(
    batch: Batch, size: tuple[int, int], stride: int, tau: float | None, identities: int
) -> LossInputs:
    """People, their whole boxes, where they were before, and occlusions."""
    previous = batch.partner
    if previous is None or previous.prior is None:
        raise InputError("a batch has no previous images", "load samples with the learner's pairs")
    labels, earlier = (_named(each, identities).labels for each in (batch, previous))
    return LossInputs(
        OTrackInputs(batch.images, previous.images, previous.prior),
        otrack_targets(labels, earlier, size, stride, tau),
    )


def _named(batch: Batch, identities: int) -> Batch:
    """The batch with identities of their own for all who have none: their rows, after the known."""
    own = identities + batch.rows
    return replace(batch, identities=torch.where(batch.identities < 0, own, batch.identities))
