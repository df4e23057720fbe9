"""Training of FairMOT with anchors: as FairMOT's, with JDE's losses.

Zhang, Wang, Wang, Zeng & Liu, "A simple baseline for multi-object tracking", arXiv 2004.01888v1,
Table 1 (see `models.fairmot_anchors`): classification, box and identity losses of one level,
weighted by learned uncertainty.
"""

from collections.abc import Mapping
from functools import partial

from torch import Tensor
from torch.optim import Adam, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import Dataset
from mottool.data.targets.jde import JDETargets, jde_targets
from mottool.losses.jde import JDELoss
from mottool.models.backbones.dla import DLA34
from mottool.models.fairmot import map_tensor_name
from mottool.models.fairmot_anchors import ANCHORS, FairMOTAnchors
from mottool.networks.registry import NETWORKS
from mottool.settings import Settings
from mottool.training.learner import Learner

__all__ = ["FairMOTAnchorsLearner"]


class FairMOTAnchorsLearner(Learner):
    """FairMOT with anchors, and a classifier over the dataset's identities."""

    network: FairMOTAnchors

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: Settings
    ) -> None:
        """Create the learner. Raises `InputError` for a dataset without identities."""
        super().__init__()
        self.network = FairMOTAnchors(**NETWORKS[pipeline].arguments)
        identities = dataset.identities_for("FairMOT's loss")
        strides = [self.network.stride]
        self.loss = JDELoss(self.network.embedding_size, identities, strides=strides)
        self.examples = partial(_examples, size=size, stride=self.network.stride)

    def forward(self, images: Tensor, targets: JDETargets) -> dict[str, Tensor]:
        """Compute the total of JDE's Eq. 5 and its three terms."""
        terms: dict[str, Tensor] = self.loss(self.network(images), targets)
        return terms

    def optimiser(self, lr: float) -> Optimizer:
        """Create Adam."""
        return Adam(self.parameters(), lr)

    def map_tensor_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map tensor names of CenterNet, FairMOT or the backbone alone to those of the network."""
        return {map_tensor_name(name, DLA34): value for name, value in tensors.items()}


def _examples(batch: Batch, size: tuple[int, int], stride: int) -> LossInputs:
    """Create foreground, box and identity of every anchor."""
    return LossInputs(batch.images, jde_targets(batch.labels, size, {stride: ANCHORS}))
