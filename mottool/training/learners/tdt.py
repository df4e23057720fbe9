"""Training of TDT: a detector that also learns the embeddings of a re-identification network.

Yu, Wu, Gu & Fathy, "TDT: Teaching detectors to track without fully annotated videos", CVPR
Workshops 2022: losses of §3.4, schedule of §4.2, weight decay of supplement A, all from random
weights. The paper does not name the optimiser; that of Google's RetinaNet is SGD with a momentum of
0.9, and biases and batch norm do not decay.
"""

from collections.abc import Mapping
from functools import partial

from torch import Tensor
from torch.optim import SGD, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import Dataset
from mottool.data.targets.tdt import TDTTargets, tdt_targets
from mottool.losses.tdt import TDTLoss
from mottool.models.tdt import ANCHORS, TDT, strides_and_cells
from mottool.networks.registry import NETWORKS
from mottool.networks.tdt import TDTLearning
from mottool.training.learner import Learner

__all__ = ["TDTLearner"]

MOMENTUM, DECAY = 0.9, 1e-4


class TDTLearner(Learner):
    """TDT's student, whose samples contain its teacher's embeddings, or its detector alone."""

    network: TDT

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: TDTLearning
    ) -> None:
        """Create the learner; `dataset` needs no identities."""
        super().__init__()
        variant = NETWORKS[pipeline].arguments["variant"]
        self.embeds = not settings.detector_only
        self.taught = settings.embedding_size if self.embeds else 0
        self.network = TDT(variant, self.taught, settings.finest_level, settings.norm_momentum)
        weights = settings.class_weight, settings.box_weight, settings.embedding_weight
        self.loss = TDTLoss(self.network.embed if self.embeds else None, weights)
        strides, cells = strides_and_cells(*size, settings.finest_level)
        anchors = ANCHORS.boxes(cells, strides)
        self.examples = partial(_examples, anchors=anchors, taught=self.embeds)

    def forward(self, images: Tensor, targets: TDTTargets) -> dict[str, Tensor]:
        """Compute the terms and their total.

        The loss calls the network for the embeddings that it needs. This happens within `forward`,
        which distributed training wraps, so that their gradients are shared between processes.
        """
        terms: dict[str, Tensor] = self.loss(self.network(images), targets)
        return terms

    def optimiser(self, lr: float) -> Optimizer:
        """Create SGD with momentum; biases and batch norm do not decay."""
        trained = [each for each in self.parameters() if each.requires_grad]
        return SGD(
            [
                {"params": [each for each in trained if each.dim() > 1], "weight_decay": DECAY},
                {"params": [each for each in trained if each.dim() == 1], "weight_decay": 0.0},
            ],
            lr,
            momentum=MOMENTUM,
        )

    def map_tensor_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map tensor names of torchvision's classifier to those of the backbone."""
        parts = {name for name, _ in self.network.named_children()}
        return {
            name if name.partition(".")[0] in parts else f"backbone.{name}": value
            for name, value in tensors.items()
        }


def _examples(batch: Batch, anchors: Tensor, taught: bool) -> LossInputs:
    """Create class, box and, if `taught`, the teacher's embedding for each anchor (N, 4)."""
    return LossInputs(batch.images, tdt_targets(batch.labels, anchors, taught))
