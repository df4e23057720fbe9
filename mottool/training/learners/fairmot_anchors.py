"""How FairMOT learns with anchors: as without them, but for the losses, which are JDE's.

Zhang, Wang, Wang, Zeng & Liu, "A simple baseline for multi-object tracking", arXiv 2004.01888v1,
Table 1 (see `models.fairmot_anchors`): classification, box and identity of one level, weighed
against each other by learned uncertainty.
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
from mottool.pipelines.registry import NETWORKS
from mottool.settings import Settings
from mottool.training.learner import Learner
from mottool.training.learners.fairmot import FairMOTLearner

__all__ = ["FairMOTAnchorsLearner"]


class FairMOTAnchorsLearner(Learner):
    """FairMOT with anchors, and a classifier over the dataset's identities."""

    RECIPE = FairMOTLearner.RECIPE

    network: FairMOTAnchors

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: Settings
    ) -> None:
        """Raises `InputError` for a dataset without identities."""
        super().__init__()
        self.network = FairMOTAnchors(**NETWORKS[pipeline].arguments)
        identities = dataset.identities_for("FairMOT's loss")
        strides = [self.network.stride]
        self.loss = JDELoss(self.network.embedding_size, identities, strides=strides)
        self.examples = partial(_examples, size=size, stride=self.network.stride)

    def forward(self, images: Tensor, targets: JDETargets) -> dict[str, Tensor]:
        """The total of JDE's Eq. 4 and its three terms."""
        terms: dict[str, Tensor] = self.loss(self.network(images), targets)
        return terms

    def optimiser(self, lr: float) -> Optimizer:
        """Adam."""
        return Adam(self.parameters(), lr)

    def our_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of CenterNet, FairMOT or the backbone alone under the network's names."""
        return {map_tensor_name(name, DLA34): value for name, value in tensors.items()}


def _examples(batch: Batch, size: tuple[int, int], stride: int) -> LossInputs:
    """Of every anchor: foreground, box and identity."""
    return LossInputs(batch.images, jde_targets(batch.labels, size, {stride: ANCHORS}))
