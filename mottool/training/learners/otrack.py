"""Training of OTrack: CenterTrack's recipe for MOT17, with OUTrack's occlusion centres.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §4.3-4.4 and §5.2, with the
values of its code: Adam for 70 epochs, with a learning rate divided by ten after 60,
with 32 images per step at 960x544, each paired with one at most two frames away. OUTrack's paper
has the learning rate 1e-4 (§4.1), CenterTrack's code 1.25e-4. The authors start
from their weights of CrowdHuman, whose still images are paired with themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import Dataset
from mottool.data.targets.labels import Targets
from mottool.data.targets.otrack import OTrackTargets, otrack_targets
from mottool.errors import InputError
from mottool.losses.otrack import otrack_loss
from mottool.models.otrack import OTrack, map_tensor_name
from mottool.networks.learning import PreviousFrameSampling
from mottool.networks.otrack import OTrackLearning
from mottool.training.learner import Learner

__all__ = ["OTrackInputs", "OTrackLearner"]


@dataclass(frozen=True)
class OTrackInputs(Targets):
    """Inputs of the network: B `images`, the `previous` ones, and detections in those.

    `images` and `previous` (B, 3, H, W); `heatmap` (B, 1, H, W) as `OTrack.forward` takes it.
    """

    images: Tensor
    previous: Tensor
    heatmap: Tensor


class OTrackLearner(Learner):
    """OTrack. People are matched between images by identity, or because the image is the same."""

    network: OTrack

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: OTrackLearning
    ) -> None:
        """Create the learner; `dataset` can contain videos, still images, or both."""
        super().__init__()
        self.pairs = PreviousFrameSampling(
            **{key.name: getattr(settings, key.name) for key in fields(PreviousFrameSampling)}
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
        """Compute the loss and its terms."""
        heads = self.network(inputs.images, inputs.previous, inputs.heatmap)
        return otrack_loss(heads, targets)

    def optimiser(self, lr: float) -> Optimizer:
        """Create Adam."""
        return Adam(self.parameters(), lr)

    def map_tensor_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map tensor names of CenterTrack, CenterNet or FairMOT to those of the network."""
        return {map_tensor_name(name): value for name, value in tensors.items()}


def _examples(
    batch: Batch, size: tuple[int, int], stride: int, tau: float | None, identities: int
) -> LossInputs:
    """Create targets: people, their full boxes, previous positions, and occlusions."""
    previous = batch.partner
    if previous is None or previous.prior is None:
        raise InputError("a batch has no previous images", "load samples with the learner's pairs")
    labels, earlier = (_named(each, identities).labels for each in (batch, previous))
    return LossInputs(
        OTrackInputs(batch.images, previous.images, previous.prior),
        otrack_targets(labels, earlier, size, stride, tau),
    )


def _named(batch: Batch, identities: int) -> Batch:
    """Give people without an identity one of their own: their row, after the known ones."""
    new = identities + batch.rows
    return replace(batch, identities=torch.where(batch.identities < 0, new, batch.identities))
